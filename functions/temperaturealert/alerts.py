"""The queue iot/alerts, over one connection that outlives a restart of the broker."""

import pika
from pika.exceptions import AMQPError

QUEUE = "iot/alerts"


class Alerts:
    """Sends alerts that outlive the broker too; each is confirmed before `send` returns."""

    def __init__(self, url):
        self._parameters = pika.URLParameters(url)
        # Between two events no one reads this connection, so the broker would take missing heartbeats for a death.
        self._parameters.heartbeat = 0
        self._connect()

    def send(self, text):
        """Send an alert; a lost connection is made again, once."""
        try:
            self._publish(text)
        except AMQPError:
            self._connect()
            self._publish(text)

    def _connect(self):
        self._channel = pika.BlockingConnection(self._parameters).channel()
        self._channel.queue_declare(QUEUE, durable=True)
        self._channel.confirm_delivery()

    def _publish(self, text):
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=pika.DeliveryMode.Persistent)
        # Mandatory: a queue that is gone is an error, not an alert lost.
        self._channel.basic_publish("", QUEUE, text.encode(), properties, mandatory=True)
