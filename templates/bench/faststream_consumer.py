"""The reference for events over AMQP: FastStream's subscriber, its per-message log off.

Arguments: the broker's URL, the queue, and how many messages may wait here.
"""

import asyncio
import sys
from typing import Any

import counter
from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue


def main(url, queue, prefetch):
    """Consume for ever."""
    counts = counter.open_counts()
    broker = RabbitBroker(url, logger=None, default_channel=Channel(prefetch_count=int(prefetch)))

    @broker.subscriber(RabbitQueue(queue, durable=True))
    async def handle(body: Any) -> None:
        counts[0] += 1

    asyncio.run(FastStream(broker, logger=None).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
