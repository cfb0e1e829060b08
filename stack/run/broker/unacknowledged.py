"""Messages that are read and stay where they are: they go back to their places when the channel closes."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

# Seconds that the broker may take for the next message: another client may have taken it meanwhile.
_PATIENCE = 5.0
# As many messages as AMQP can send ahead.
_MOST = 65_535


def read_unacknowledged(
    channel: Any, queue: str, count: int, *, most_bytes: int | None = None
) -> Iterator[tuple[Any, Any, bytes]]:
    """Yield (method, properties, body) of the first so many messages of a queue, of which none is acknowledged.

    With `most_bytes`, the last is the one by which the bodies are so much together.

    A quorum queue puts what comes back behind all that came back before, and delivers this first. So all of that is
    taken at once, and comes back at once, in its order, when the channel closes. No message may be on its way to us
    then: each of those would come back by itself, before the others. A channel reads one queue.
    """
    waiting = int(channel.queue_declare(queue, passive=True).method.message_count)
    taken = _Taken(min(count, waiting), most_bytes)
    while taken.count < waiting and taken.needs_more:
        # Twice as many each time, since each time takes another consumer.
        number = min(_MOST, max(taken.count, taken.wanted - taken.count), waiting - taken.count)
        if not _take(channel, queue, number, taken):
            break
    yield from taken.deliveries


class _Taken:
    """What was taken from a queue: the deliveries that are wanted, and how many more."""

    def __init__(self, wanted: int, most_bytes: int | None) -> None:
        self.wanted = wanted
        self.deliveries: list[tuple[Any, Any, bytes]] = []
        self.count = 0
        self._most_bytes = most_bytes
        self._bytes = 0
        self._came_back = False

    @property
    def needs_more(self) -> bool:
        """Tell whether more are wanted, or there may be more that came back before."""
        return self.count < self.wanted or (self._came_back and self.wanted > 0)

    def add(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        """Add what was delivered."""
        is_full = self._most_bytes is not None and self._bytes >= self._most_bytes
        if self.count < self.wanted and not is_full:
            self.deliveries.append((method, properties, body))
        self._bytes += len(body)
        self.count += 1
        self._came_back = method.redelivered


def _take(channel: Any, queue: str, number: int, taken: _Taken) -> bool:
    """Take so many messages with a consumer of their own; tell whether there were as many."""
    wanted, seen, deadline = taken.count + number, taken.count, monotonic() + _PATIENCE
    channel.basic_qos(prefetch_count=number)
    consumer = channel.basic_consume(queue, taken.add)
    while taken.count < wanted and monotonic() < deadline:
        channel.connection.process_data_events(time_limit=deadline - monotonic())
        if taken.count > seen:
            seen, deadline = taken.count, monotonic() + _PATIENCE
    channel.basic_cancel(consumer)
    return taken.count >= wanted


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
