"""Queues that nobody needs any more: deleted where they hold nothing and nobody consumes them."""

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack.errors import BrokerError
from stack.run.broker.broker import Broker

_NOT_FOUND = 404


def delete_idle_queue(broker: Broker, name: str) -> bool:
    """Delete a queue, unless it holds a message or somebody consumes it; return whether it is gone.

    A quorum queue, which RabbitMQ deletes under no condition, is asked first: what is sent to it by its name between
    the answer and the end of it is gone with it.

    Raises:
        BrokerError: the broker does not answer.
    """
    if broker.delete_idle_queue(name):
        return True
    if not _is_idle(broker, name):
        return False
    broker.delete_queue(name)
    return True


def _is_idle(broker: Broker, name: str) -> bool:
    """Return whether a queue holds nothing and nobody consumes it; the management API knows that a second later."""
    try:
        with BlockingConnection(URLParameters(broker.amqp_url)) as connection:
            found = connection.channel().queue_declare(name, passive=True).method
    except ChannelClosedByBroker as error:
        return int(error.reply_code) == _NOT_FOUND
    except (AMQPError, OSError) as error:
        raise BrokerError(f"RabbitMQ does not answer at {broker.host}:{broker.amqp_port}: {error}") from error
    return not (int(found.message_count) or int(found.consumer_count))
