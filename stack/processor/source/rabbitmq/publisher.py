"""Copies of failed messages on their way to the broker, until it has confirmed them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from stack.processor.source.rabbitmq.retry import Copy

# Seconds until a copy that the broker did not take is published again.
_PUBLISH_AGAIN = 1.0

Confirmed = Callable[[], None]


class CopyPublisher:
    """Publishes copies on a consumer's channel, and tells when the broker has them.

    The queues are declared at the first copy, so that functions which never fail leave none behind.
    """

    def __init__(
        self, channel: Any, call_later: Callable[[float, Callable[[], None]], object], queue_type: str
    ) -> None:
        self._channel = channel
        self._call_later = call_later
        self._queue_type = queue_type
        self._declared: set[str] = set()
        self._published = 0
        self._unconfirmed: dict[int, tuple[Copy, Confirmed]] = {}
        channel.add_on_return_callback(self._on_return)

    def open(self, done: Callable[[object], None]) -> None:
        """Let the broker confirm what is published on this channel."""
        self._channel.confirm_delivery(self._on_confirm, callback=done)

    def publish(self, copy: Copy, confirmed: Confirmed) -> None:
        """Publish a copy, and call `confirmed` when the broker keeps it; try again where it does not."""
        if not self._channel.is_open:
            return
        if copy.queue in self._declared:
            self._send(copy, confirmed)
            return
        self._channel.queue_declare(
            copy.queue,
            durable=True,
            arguments=copy.arguments(self._queue_type),
            callback=lambda _frame: self._on_declared(copy, confirmed),
        )

    def _on_declared(self, copy: Copy, confirmed: Confirmed) -> None:
        self._declared.add(copy.queue)
        self._send(copy, confirmed)

    def _send(self, copy: Copy, confirmed: Confirmed) -> None:
        self._published += 1
        self._unconfirmed[self._published] = (copy, confirmed)
        self._channel.basic_publish("", copy.queue, copy.body, copy.properties, mandatory=True)

    def _on_return(self, _channel: object, method: Any, _properties: object, _body: bytes) -> None:
        """Note that a queue is gone; the broker still confirms what it returned, and does so next."""
        self._declared.discard(method.routing_key)

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        last = method.delivery_tag
        tags = [tag for tag in self._unconfirmed if tag <= last] if method.multiple else [last]
        for tag in tags:
            copy, confirmed = self._unconfirmed.pop(tag)
            if method.NAME == "Basic.Ack" and copy.queue in self._declared:
                confirmed()
            else:
                self._call_later(_PUBLISH_AGAIN, partial(self.publish, copy, confirmed))
