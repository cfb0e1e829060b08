"""Messages that wait: published with confirms, as fast as the broker takes them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pika

from stack.config.broker import QUORUM
from stack.errors import StackError

_BODY = b'{"temperature": 21.5}'
# Messages between two looks at what the broker says.
_CHUNK = 500
_PROPERTIES = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


@dataclass(frozen=True)
class Route:
    """Where messages are published."""

    exchange: str
    key: str


def publish(url: str, route: Route, count: int) -> None:
    """Publish messages, and return when the broker has confirmed the last.

    Raises:
        StackError: the broker refused.
    """
    publisher = _Publisher(url, route, count)
    publisher.run()
    if publisher.missing:
        raise StackError(f"the broker did not confirm {publisher.missing} of {count} messages")


@contextmanager
def open_queue(url: str) -> Iterator[str]:
    """Declare a queue of the type that functions have, for the length of the block."""
    name = f"bench-{uuid4().hex[:8]}"
    with open_channel(url) as channel:
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": QUORUM})
    try:
        yield name
    finally:
        with open_channel(url) as channel:
            channel.queue_delete(name)


@contextmanager
def open_channel(url: str) -> Iterator[Any]:
    """Open a channel for the length of the block."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def has_consumer(url: str, queue: str) -> bool:
    """Tell whether somebody consumes a queue."""
    with open_channel(url) as channel:
        return bool(channel.queue_declare(queue, passive=True).method.consumer_count)


class _Publisher:
    """One connection that publishes and is done."""

    def __init__(self, url: str, route: Route, count: int) -> None:
        self._route = route
        self._left = count
        self._lowest = 1
        self._unconfirmed = set(range(1, count + 1))
        end: Callable[..., object] = lambda *_: self._connection.ioloop.stop()  # noqa: E731
        self._connection = pika.SelectConnection(
            pika.URLParameters(url),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._begin),
            on_open_error_callback=end,
            on_close_callback=end,
        )

    @property
    def missing(self) -> int:
        return len(self._unconfirmed)

    def run(self) -> None:
        self._connection.ioloop.start()

    def _begin(self, channel: Any) -> None:
        self._channel = channel
        channel.confirm_delivery(self._confirm, callback=lambda _frame: self._send())

    def _send(self) -> None:
        for _ in range(min(_CHUNK, self._left)):
            self._channel.basic_publish(self._route.exchange, self._route.key, _BODY, _PROPERTIES)
        self._left -= min(_CHUNK, self._left)
        if self._left:
            self._connection.ioloop.add_callback(self._send)

    def _confirm(self, frame: Any) -> None:
        if frame.method.NAME != "Basic.Ack":
            self._connection.close()
            return
        tag = frame.method.delivery_tag
        lowest = self._lowest if frame.method.multiple else tag
        self._unconfirmed.difference_update(range(lowest, tag + 1))
        if frame.method.multiple:
            self._lowest = tag + 1
        if not self._unconfirmed:
            self._connection.close()
