"""The queue iot/logs, over one connection that outlives a restart of the broker."""

import pika
from pika.exceptions import AMQPError

QUEUE = "iot/logs"


class Feedback:
    """Sends lines to the queue; each is confirmed by the broker before `send` returns."""

    def __init__(self, url):
        self._parameters = pika.URLParameters(url)
        # Between two events no one reads this connection, so the broker would take missing heartbeats for a death.
        self._parameters.heartbeat = 0
        self._connect()

    def send(self, text, reading):
        """Send a line about a reading; a lost connection is made again, once."""
        try:
            self._publish(text, reading)
        except AMQPError:
            self._connect()
            self._publish(text, reading)

    def _connect(self):
        self._channel = pika.BlockingConnection(self._parameters).channel()
        self._channel.queue_declare(QUEUE, durable=False)
        self._channel.confirm_delivery()

    def _publish(self, text, reading):
        properties = pika.BasicProperties(correlation_id=reading)
        # Mandatory: a queue that is gone is an error, not a line lost.
        self._channel.basic_publish("", QUEUE, text.encode(), properties, mandatory=True)
