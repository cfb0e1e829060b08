"""Observing: copies of what is published, by a queue of our own, so that no one misses a message for it."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from secrets import token_hex
from time import time
from typing import Any

from pika import URLParameters
from pika.adapters.asyncio_connection import AsyncioConnection

# pika reads no odd message without it.
import stack.processor.source.rabbitmq.properties  # noqa: F401
from stack.contract import MQTT_EXCHANGE, to_topic
from stack.plan.message import read_text
from stack.processor.source.rabbitmq.field_table import to_text
from stack.rabbitmq.management import Broker

# Messages that wait for us at most, older ones make way; and how many are taken at once, and how often: a flood is
# seen in part, and costs little.
_WAITING, _BATCH, _BATCH_SECONDS = 200, 50, 0.2
# Seconds until a broker that is lost is tried again.
_AGAIN = 2.0
_LOST = "RabbitMQ cannot be reached; it is tried again every two seconds."
NAME = "tidegate-dashboard"
# What the names of our queues begin with.
PREFIX = f"{NAME}."


@dataclass(frozen=True)
class Observed:
    """A message as it was published."""

    time: float
    exchange: str
    key: str
    body: bytes
    properties: Any


# Characters of a body that are shown.
_LONGEST = 2000


def describe_message(message: Observed) -> dict[str, Any]:
    """Return what the pages are told of a message."""
    given = {name: value for name, value in vars(message.properties).items() if value is not None}
    headers = given.pop("headers", None) or {}
    given.pop("raw_headers", None)
    return {
        "time": round(message.time, 3),
        "topic": to_topic(to_text(message.key)) if message.exchange == MQTT_EXCHANGE else "",
        "exchange": to_text(message.exchange),
        "key": to_text(message.key),
        "size": len(message.body),
        "body": read_text(message.body, _LONGEST),
        "headers": {to_text(name): to_text(value) for name, value in headers.items()},
        "properties": {name: to_text(value) for name, value in given.items()},
    }


# An exchange, and the key that our queue is bound to it with.
Place = tuple[str, str]


class Observer:
    """One connection with one exclusive queue; it comes back when the broker does."""

    def __init__(
        self, broker: Broker, heard: Callable[[Observed], None], bound: Callable[[], None] = lambda: None
    ) -> None:
        self._parameters = URLParameters(broker.amqp_url)
        self._parameters.client_properties = {"connection_name": NAME}
        self._heard = heard
        self._on_bound = bound
        self._places: set[Place] = set()
        self._connection: Any = None
        self._channel: Any = None
        self._queue, self._unbound = "", 0
        self._retry: asyncio.TimerHandle | None = None
        self._taken = 0
        self.problem = ""

    @property
    def is_bound(self) -> bool:
        """Return whether nothing that is published to the places from now on is missed."""
        return bool(self._queue) and not self._unbound

    def observe(self, places: Collection[Place]) -> None:
        """Observe these places from now on, and no others; their exchanges have to exist."""
        before, self._places = self._places, set(places)
        if self._connection is None:
            self._connect()
        elif self._queue:
            self._bind(self._places - before)
            for exchange, key in before - self._places:
                self._channel.queue_unbind(self._queue, exchange, key)

    async def close(self) -> None:
        """Observe no more; the queue goes with the connection."""
        if self._retry:
            self._retry.cancel()
        connection, self._connection, self._channel, self._queue = self._connection, None, None, ""
        if connection and connection.is_open:
            connection.close()
            # The broker's answer ends the connection; it need not be awaited for long.
            for _ in range(20):
                if connection.is_closed:
                    return
                await asyncio.sleep(0.05)

    def _connect(self) -> None:
        self._retry = None
        self._connection = AsyncioConnection(
            self._parameters,
            on_open_callback=self._open,
            on_open_error_callback=self._lose,
            on_close_callback=self._lose,
        )

    def _open(self, connection: Any) -> None:
        if connection is self._connection:
            connection.channel(on_open_callback=self._declare)
        else:
            connection.close()

    def _declare(self, channel: Any) -> None:
        if channel.connection is not self._connection:
            return
        self._channel = channel
        channel.add_on_close_callback(self._lose_channel)
        channel.basic_qos(prefetch_count=_BATCH)
        limit = {"x-max-length": _WAITING}
        name = PREFIX + token_hex(8)
        channel.queue_declare(name, exclusive=True, auto_delete=True, arguments=limit, callback=self._consume)

    def _consume(self, frame: Any) -> None:
        if self._channel is None:
            return
        self.problem = ""
        self._queue = frame.method.queue
        self._bind(self._places)
        self._channel.basic_consume(self._queue, self._take, exclusive=True)

    def _bind(self, places: Collection[Place]) -> None:
        self._unbound += len(places)
        for exchange, key in places:
            self._channel.queue_bind(self._queue, exchange, key, callback=self._note_bound)

    def _note_bound(self, _frame: object) -> None:
        self._unbound -= 1
        if self.is_bound:
            self._on_bound()

    def _take(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._heard(Observed(time(), method.exchange, method.routing_key, body, properties))
        self._taken += 1
        if self._taken == 1:
            asyncio.get_running_loop().call_later(_BATCH_SECONDS, self._acknowledge, channel, method.delivery_tag)

    def _acknowledge(self, channel: Any, first: int) -> None:
        """Acknowledge all that came since a batch began, which lets the next come."""
        count, self._taken = self._taken, 0
        if channel.is_open:
            channel.basic_ack(first + count - 1, multiple=True)

    def _lose_channel(self, channel: Any, _error: BaseException) -> None:
        """Begin again with what is there: an exchange was gone."""
        if channel is self._channel and self._connection and self._connection.is_open:
            self._places.clear()
            self._connection.close()

    def _lose(self, connection: Any, _error: BaseException) -> None:
        if connection is not self._connection:
            return
        self.problem = _LOST
        self._channel, self._queue, self._unbound, self._taken = None, "", 0, 0
        self._retry = asyncio.get_running_loop().call_later(_AGAIN, self._connect)
