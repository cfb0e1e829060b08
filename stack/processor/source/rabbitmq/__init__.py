"""Events from the messages of an AMQP queue."""
