"""Listening on queues: one connection that is made again after a restart of the broker, and manual acknowledgements."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

# pika reads no odd message without it.
import stack.processor.source.rabbitmq.properties  # noqa: F401
from stack.errors import BrokerError
from stack.processor.source.rabbitmq.field_table import to_text
from stack.rabbitmq.management import Broker

# Messages that may be here unacknowledged: few enough that another consumer gets its share, enough to be quick.
_PREFETCH = 500
# Seconds between attempts to connect again.
_AGAIN = 0.5
# AMQP's codes: another consumer has the queue for itself; a queue is there, declared otherwise.
_EXCLUSIVE, _INEQUIVALENT = 403, 406
# What pika raises: of the second kind where there is no one of the broker's name, as in a container while it is down.
_Loss: TypeAlias = AMQPError | OSError


@dataclass(frozen=True)
class Queue:
    """A queue to consume, and how it is declared; an exclusive consumer suffers no other beside it."""

    name: str
    durable: bool
    is_exclusive: bool = False
    prefetch: int = _PREFETCH


@dataclass(frozen=True)
class Message:
    """What arrived; `time` is in seconds of the monotonic clock, and session and tag are for its acknowledgement."""

    queue: str
    text: str
    correlation: str
    time: float
    session: int
    tag: int


class Listener:
    """Consumes queues. What is not acknowledged goes back to its queue when the listener closes."""

    def __init__(self, broker: Broker, queues: Sequence[Queue], *, told: Callable[[str], None]) -> None:
        self._address = f"{broker.host}:{broker.amqp_port}"
        self._parameters = URLParameters(broker.amqp_url)
        self._parameters.client_properties = {"connection_name": "tidegate-listener"}
        self._queues = queues
        self._told = told
        self._arrived: deque[Message] = deque()
        self._session = 0
        self._is_connected = False
        self._names = " and ".join(queue.name for queue in queues)
        self._connection: Any = None
        self._channel: Any = None
        self.waiting: Mapping[str, int] = {}
        """How many messages each queue held when this began to listen."""

    def __enter__(self) -> Self:
        try:
            self.waiting = self._connect()
        except (AMQPError, OSError) as error:
            self.__exit__(None, None, None)
            raise self._explain(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._connection and self._connection.is_open:
                self._connection.close()
        except (AMQPError, OSError):
            return

    def receive(self, seconds: float) -> list[Message]:
        """Return what arrived, waiting so long at most; of a lost connection one attempt is made to have it again."""
        try:
            if not self._is_connected:
                time.sleep(min(seconds, _AGAIN))
                self._connect()
                self._told("RabbitMQ is there again.")
            if not self._arrived:
                self._connection.process_data_events(seconds)
        except (AMQPError, OSError) as error:
            self._lose(error)
        found = list(self._arrived)
        self._arrived.clear()
        return found

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Let the broker forget messages; those of a lost connection it delivers again, or has lost."""
        try:
            for message in messages:
                if message.session == self._session:
                    self._channel.basic_ack(message.tag)
        except (AMQPError, OSError) as error:
            self._lose(error)

    def _connect(self) -> dict[str, int]:
        """Connect and consume; return how many messages each queue held."""
        self._session += 1
        self._connection = BlockingConnection(self._parameters)
        self._channel = self._connection.channel()
        waiting: dict[str, int] = {}
        for queue in self._queues:
            self._channel.basic_qos(prefetch_count=queue.prefetch)
            waiting[queue.name] = self._channel.queue_declare(queue.name, durable=queue.durable).method.message_count
            take = partial(self._take, queue.name, self._session)
            self._channel.basic_consume(queue.name, take, exclusive=queue.is_exclusive)
        self._is_connected = True
        return waiting

    def _take(self, queue: str, session: int, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        text = body.decode(errors="replace")
        correlation = to_text(properties.correlation_id or "")
        self._arrived.append(Message(queue, text, correlation, time.monotonic(), session, method.delivery_tag))

    def _lose(self, error: _Loss) -> None:
        """Tell, once, that the connection is lost.

        Raises:
            BrokerError: it would be refused again.
        """
        code = _code(error)
        if code == _INEQUIVALENT:
            raise self._explain(error) from error
        if self._is_connected:
            exclusive = f"Another program has {self._names} for itself, such as a demo"
            self._told(f"{exclusive if code == _EXCLUSIVE else 'RabbitMQ is gone'}; waiting for it.")
        self.__exit__(None, None, None)
        self._is_connected = False

    def _explain(self, error: _Loss) -> BrokerError:
        return BrokerError(self._describe(error))

    def _describe(self, error: _Loss) -> str:
        code = _code(error)
        if code == _EXCLUSIVE:
            return (
                f"Another program takes what arrives on {self._names}: a logger, or another demo? Stop it first; "
                "`invoke logger --service --stop` stops the stack's own."
            )
        if isinstance(error, ChannelClosedByBroker):
            return f"RabbitMQ refused: {error.reply_text}."
        return f"RabbitMQ does not answer at {self._address}. Type `invoke up`, then this again."


def _code(error: _Loss) -> int:
    return error.reply_code if isinstance(error, ChannelClosedByBroker) else 0
