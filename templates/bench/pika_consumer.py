"""The reference for events over AMQP: pika's SelectConnection; each message is counted, or answered, and acknowledged.

Arguments: the broker's URL, the queue, how many messages may wait here and, to answer, the reply queue.
"""

import sys

import counter
import pika


def main(url, queue, prefetch, reply=""):
    """Consume for ever."""
    handle = _answer(reply) if reply else _count()

    def consume(channel):
        channel.basic_qos(prefetch_count=int(prefetch))
        channel.basic_consume(queue, handle)

    connection = pika.SelectConnection(
        pika.URLParameters(url), on_open_callback=lambda connection: connection.channel(on_open_callback=consume)
    )
    connection.ioloop.start()


def _count():
    counts = counter.open_counts()

    def handle(channel, method, properties, body):
        counts[0] += 1
        channel.basic_ack(method.delivery_tag)

    return handle


def _answer(reply):
    def handle(channel, method, properties, body):
        channel.basic_publish("", reply, body)
        channel.basic_ack(method.delivery_tag)

    return handle


if __name__ == "__main__":
    main(*sys.argv[1:])
