"""Messages that are read and stay where they are: they go back to their places when the channel closes."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

# Seconds that the broker may take for the next message: another client may have taken it meanwhile.
_PATIENCE = 5.0
# As many messages as AMQP can send ahead; 0 sends all.
_MOST, _ALL = 65_535, 0


def read_unacknowledged(
    channel: Any, queue: str, count: int, *, most_bytes: int | None = None
) -> Iterator[tuple[Any, Any, bytes]]:
    """Yield (method, properties, body) of the first so many messages of a queue, of which none is acknowledged.

    With `most_bytes`, the last is the one by which the bodies are so much together.

    One consumer takes them all, which the channel keeps until it closes: each `basic.get` is a consumer of its own, and
    a quorum queue takes back what several consumers held in another order. A channel reads one queue.
    """
    waiting = int(channel.queue_declare(queue, passive=True).method.message_count)
    wanted = min(count, waiting)
    if not wanted:
        return
    channel.basic_qos(prefetch_count=wanted if wanted <= _MOST else _ALL)
    yield from _limit(islice(channel.consume(queue, inactivity_timeout=_PATIENCE), wanted), most_bytes)


def get_unacknowledged(
    channel: Any, queue: str, count: int, *, most_bytes: int | None = None
) -> Iterator[tuple[Any, Any, bytes]]:
    """Yield the same without consuming the queue, which would be deleted with its last consumer if it is auto-delete.

    Only a classic queue takes the messages back in their order.
    """
    waiting = int(channel.queue_declare(queue, passive=True).method.message_count)
    yield from _limit((channel.basic_get(queue) for _ in range(min(count, waiting))), most_bytes)


def _limit(deliveries: Iterator[tuple[Any, Any, bytes]], most_bytes: int | None) -> Iterator[tuple[Any, Any, bytes]]:
    """Yield deliveries until there is none, or they are enough."""
    read = 0
    for method, properties, body in deliveries:
        if method is None:
            return
        yield method, properties, body
        read += len(body)
        if most_bytes is not None and read >= most_bytes:
            return
