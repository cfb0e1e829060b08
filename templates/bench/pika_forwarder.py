"""The reference for one event in, one out: pika's SelectConnection, written with care by hand.

Each message is published, persistent and mandatory, to the reply queue; what the broker confirms, a batch at a time as
it chooses, is acknowledged. Arguments: the broker's URL, the queue, how many messages may wait here, the reply queue.
"""

import sys

import counter
import pika

PROPERTIES = pika.BasicProperties(content_type="text/plain", delivery_mode=pika.DeliveryMode.Persistent)


class Forwarder:
    """One connection, with a channel to consume on and one to publish on."""

    def __init__(self, url, queue, prefetch, reply):
        self._queue, self._prefetch, self._reply = queue, int(prefetch), reply
        self._counts = counter.open_counts()
        self._tags = {}
        self._published = 0
        self._connection = pika.SelectConnection(
            pika.URLParameters(url), on_open_callback=lambda connection: connection.channel(on_open_callback=self._open)
        )

    def run(self):
        """Forward for ever."""
        self._connection.ioloop.start()

    def _open(self, channel):
        self._publisher = channel
        channel.confirm_delivery(self._confirm, callback=lambda _frame: self._consume())

    def _consume(self):
        self._connection.channel(on_open_callback=self._begin)

    def _begin(self, channel):
        self._consumer = channel
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._forward)

    def _forward(self, channel, method, properties, body):
        self._counts[0] += 1
        self._publisher.basic_publish("", self._reply, body, PROPERTIES, mandatory=True)
        self._published += 1
        self._tags[self._published] = method.delivery_tag

    def _confirm(self, frame):
        last = frame.method.delivery_tag
        if not frame.method.multiple:
            self._consumer.basic_ack(self._tags.pop(last))
            return
        # What was confirmed by itself before is acknowledged already.
        for number in [number for number in self._tags if number <= last]:
            tag = self._tags.pop(number)
        self._consumer.basic_ack(tag, multiple=True)


if __name__ == "__main__":
    Forwarder(*sys.argv[1:]).run()
