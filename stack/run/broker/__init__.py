"""RabbitMQ: its management, and messages that are sent, heard, tried and kept."""
