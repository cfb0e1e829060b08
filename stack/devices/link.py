"""The service's connection to the broker: one thread, which makes it again whenever it is lost.

What devices and functions say comes by one queue, what the broker says of itself by another, so that a storm of the one
leaves the other; each comes in order. A batch is handled in one transaction, which also keeps what is to be said of it;
then the batch is acknowledged, and what is kept is published, and forgotten once the broker has it. So what is lost in
between is done again, and all is said at least once, in the order of the transactions.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from pika import BasicProperties, BlockingConnection
from pika.exceptions import AMQPError, NackError, ShortStringTooLong, UnroutableError

# pika reads no odd message without it.
import stack.processor.source.rabbitmq.properties  # noqa: F401
from stack import console
from stack.contract import MQTT_EXCHANGE, to_key, to_topic
from stack.devices.store import Store
from stack.errors import BrokerError, ConfigError
from stack.plan.account import ADMINISTRATOR
from stack.plan.device_account import SERVICE_ACCOUNT, SERVICE_MESSAGES, write_expression
from stack.plan.drift import MOVED
from stack.processor.source.rabbitmq.field_table import to_text
from stack.rabbitmq.connection import plan_connection
from stack.rabbitmq.management import Broker

# What the broker says of itself, and what devices and functions say.
QUEUE, MESSAGES = SERVICE_ACCOUNT, SERVICE_MESSAGES
# So many messages are kept while the service is away, older ones make way; the queue goes if no one comes for a day.
_ARGUMENTS = {"x-max-length": 100_000, "x-max-length-bytes": 67_108_864, "x-expires": 86_400_000}
# So many come at once: a message may have 16 MiB, a line of the log has not.
_AT_ONCE = {QUEUE: 200, MESSAGES: 10}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, exchange TEXT NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL
);
"""
# Seconds between two looks at what is due, and until a broker that is away is tried again.
_TICK, _AGAIN = 0.2, 1.0
# Seconds without a message after which no more of what had waited is expected, and those after which what is due is
# done however much comes.
_SILENCE, _LATEST = 2.0, 10.0
# Seconds after which a broker that cannot be reached is taken to have ended.
_ABSENCE = 5.0
_PERSISTENT = 2
# Bytes that a routing key may have.
_LONGEST_KEY = 255


@dataclass(frozen=True)
class Delivery:
    """A message that was heard."""

    exchange: str
    key: str
    headers: Mapping[str, Any]
    body: bytes
    properties: Any

    @property
    def was_moved(self) -> bool:
        """Return whether `up` has put it into this queue from one that was replaced: its key alone tells what it is."""
        return self.exchange == MOVED and getattr(self.properties, "user_id", "") == ADMINISTRATOR

    @property
    def topic(self) -> str:
        """Return its topic as MQTT writes it."""
        return to_topic(self.key)


@dataclass(frozen=True)
class Publication:
    """A message that is to be published; `expiration` and the like are in the properties.

    Raises:
        ConfigError: its topic is none that AMQP can carry.
    """

    topic: str
    body: bytes
    exchange: str = MQTT_EXCHANGE
    properties: BasicProperties = field(
        default_factory=lambda: BasicProperties(content_type="application/json", delivery_mode=_PERSISTENT)
    )

    def __post_init__(self) -> None:
        size = len(self.key.encode(errors="surrogatepass"))
        if size > _LONGEST_KEY or not self.key.isprintable():
            start = ascii(self.topic[:40])
            raise ConfigError([f"A topic should have {_LONGEST_KEY} bytes of readable text at most, not {start}…"])

    @property
    def key(self) -> str:
        """Return its routing key."""
        return to_key(self.topic) if self.exchange == MQTT_EXCHANGE else self.topic


Take = Callable[[Delivery], Iterable[Publication]]
Tick = Callable[[], Iterable[Publication]]


@dataclass(frozen=True)
class _Handler:
    exchange: str
    key: str
    pattern: re.Pattern[str]
    take: Take

    @property
    def queue(self) -> str:
        return MESSAGES if self.exchange == MQTT_EXCHANGE else QUEUE

    def fits(self, delivery: Delivery) -> bool:
        is_here = delivery.exchange == self.exchange or delivery.was_moved
        return is_here and bool(self.pattern.fullmatch(delivery.key))


class Link:
    """The connection; everything but `publish` and `close` is called before it starts."""

    def __init__(self, broker: Broker, store: Store) -> None:
        self._broker = broker
        self._store = store
        self._handlers: list[_Handler] = []
        self._ticks: list[Tick] = []
        self._openings: list[Callable[[], Tick]] = []
        self._absences: list[Callable[[float], Iterable[Publication]]] = []
        # When the connection was lost, by the clock of the machine and by one that is never set.
        self._lost: tuple[float, float] | None = None
        self._outgoing: SimpleQueue[tuple[Publication, Future[bool]]] = SimpleQueue()
        self._batch: list[tuple[int, Delivery]] = []
        # The last of what is to be said that the broker has.
        self._said = 0
        self._is_ending = Event()
        self._thread = Thread(target=self._run, name="link", daemon=True)
        self._connection: BlockingConnection | None = None
        self._channel: Any = None
        self._backlog, self._heard = 0, 0.0
        self._is_told = self._is_open = False
        store.create(_SCHEMA)

    def on(self, exchange: str, key: str, take: Take) -> None:
        """Have messages of a binding key handled."""
        self._handlers.append(_Handler(exchange, key, re.compile(write_expression([to_topic(key)]), re.DOTALL), take))

    def every(self, tick: Tick) -> None:
        """Have something looked after, some times a second."""
        self._ticks.append(tick)

    def on_open(self, opening: Tick) -> None:
        """Have something done on each new connection, once what had waited in the queue is handled."""
        self._openings.append(lambda: opening)

    def on_open_with(self, ask: Callable[[], Any], take: Callable[[Any], Iterable[Publication]]) -> None:
        """Have likewise what was asked for handled; others may use the store meanwhile."""
        self._openings.append(lambda: partial(take, ask()))

    def on_absence(self, note: Callable[[float], Iterable[Publication]]) -> None:
        """Have something done while the broker is away for longer; it is given since when that is so."""
        self._absences.append(note)

    def reopen(self) -> None:
        """Have what is done on each new connection done again."""
        self._is_open = False

    def start(self) -> None:
        """Connect, and go on until it is closed."""
        self._thread.start()

    def close(self) -> None:
        """Handle nothing more."""
        self._is_ending.set()
        self._thread.join(_AGAIN * 5)

    def publish(self, publication: Publication, seconds: float = 10.0) -> bool:
        """Publish from another thread; return whether at least one queue took it.

        Raises:
            BrokerError: the broker has not taken it in time.
        """
        answer: Future[bool] = Future()
        self._outgoing.put((publication, answer))
        self._wake()
        try:
            return answer.result(seconds)
        except TimeoutError:
            # Where it has begun meanwhile, its outcome is there in a moment.
            if answer.cancel():
                raise BrokerError("RabbitMQ does not answer; the message was not sent. Try again.") from None
            return answer.result(seconds)

    def say(self, publications: Iterable[Publication]) -> None:
        """Have messages published soon, from any thread; where the broker is away, once it is there again.

        Within a transaction they are so only if that is kept, in the order of transactions. Of their properties none is
        kept.
        """
        with self._store.transaction() as database:
            database.executemany(
                "INSERT INTO outbox VALUES (NULL, ?, ?, ?)",
                [(one.exchange, one.topic, one.body) for one in publications],
            )

    def _wake(self) -> None:
        connection = self._connection
        if connection and connection.is_open:
            connection.add_callback_threadsafe(lambda: None)

    def _run(self) -> None:
        while not self._is_ending.is_set():
            try:
                self._connect()
                self._lost = None
                self._serve()
            except Exception as error:
                # Whatever it is, such as a disk that is full: what was not acknowledged comes again.
                self._lose(error)
                self._note_absence()
                self._is_ending.wait(_AGAIN)
        self._drop()

    def _connect(self) -> None:
        self._connection = BlockingConnection(plan_connection(self._broker, SERVICE_ACCOUNT))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._batch.clear()
        self._backlog = sum(self._declare(queue) for queue in _AT_ONCE)
        for queue, count in _AT_ONCE.items():
            # It holds for the next consumer alone.
            self._channel.basic_qos(prefetch_count=count)
            self._channel.basic_consume(queue, self._collect, exclusive=True)

    def _declare(self, queue: str) -> int:
        """Declare a queue, and return how many messages wait in it."""
        declared = self._channel.queue_declare(queue, durable=True, arguments=_ARGUMENTS)
        for exchange, key in dict.fromkeys((one.exchange, one.key) for one in self._handlers if one.queue == queue):
            self._channel.queue_bind(queue, exchange, key)
        return int(declared.method.message_count)

    def _serve(self) -> None:
        connection = self._connection
        assert connection
        self._is_told = self._is_open = False
        self._heard = looked = time.monotonic()
        while not self._is_ending.is_set():
            connection.process_data_events(_TICK)
            has_more = self._handle_batch()
            now = time.monotonic()
            # What made way for newer meanwhile never comes.
            if not self._is_open and (self._backlog <= 0 or now - self._heard > _SILENCE):
                for opening in self._openings:
                    self._attempt(opening())
                self._is_open = True
            # What is waited for may be among what comes next.
            if self._is_open and (not has_more or now - looked > _LATEST):
                looked = now
                for tick in self._ticks:
                    self._attempt(tick)
            self._send_publications()
            self._send_outgoing()

    def _collect(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        exchange, key = to_text(method.exchange), to_text(method.routing_key)
        headers = {to_text(name): value for name, value in (properties.headers or {}).items()}
        self._batch.append((method.delivery_tag, Delivery(exchange, key, headers, body, properties)))
        self._backlog -= 1

    def _handle_batch(self) -> bool:
        """Handle what has come, and return whether more may be there."""
        batch, self._batch = self._batch, []
        if not batch:
            return False
        self._heard = time.monotonic()
        with self._store.transaction():
            for _, delivery in batch:
                for handler in self._handlers:
                    if handler.fits(delivery):
                        self._attempt(partial(handler.take, delivery))
        self._channel.basic_ack(batch[-1][0], multiple=True)
        messages = sum(delivery.exchange == MQTT_EXCHANGE for _, delivery in batch)
        return messages >= _AT_ONCE[MESSAGES] or len(batch) - messages >= _AT_ONCE[QUEUE]

    def _send_publications(self) -> None:
        """Publish what is to be said; of a connection that is lost meanwhile the rest is said on the next."""
        with self._store.transaction() as database:
            rows = database.execute("SELECT * FROM outbox WHERE id > ? ORDER BY id", [self._said]).fetchall()
        for row in rows:
            self._send(Publication(row["topic"], row["body"], row["exchange"]))
            self._said = row["id"]
        if rows:
            with self._store.transaction() as database:
                database.execute("DELETE FROM outbox WHERE id <= ?", [self._said])

    def _attempt(self, act: Tick) -> None:
        """Do one thing; a mistake in it, of which is told, must keep nothing else from being done."""
        try:
            with self._store.transaction():
                self.say(list(act()))
        except BrokerError:
            raise
        except Exception as error:
            console.warn(f"A message could not be handled: {error!r}")

    def _send(self, publication: Publication) -> bool:
        try:
            self._channel.basic_publish(
                publication.exchange, publication.key, publication.body, publication.properties, mandatory=True
            )
        except UnroutableError:
            return False
        except NackError as error:
            raise BrokerError("RabbitMQ did not take a message.") from error
        return True

    def _send_outgoing(self) -> None:
        while True:
            try:
                publication, answer = self._outgoing.get_nowait()
            except Empty:
                return
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(self._send(publication))
            except (ShortStringTooLong, ValueError) as error:
                # It is this message that is wrong, and was not sent; the connection stays.
                answer.set_exception(BrokerError(f"The message cannot be sent: {error!r}."))
            except (AMQPError, OSError, BrokerError) as error:
                answer.set_exception(BrokerError(f"RabbitMQ has not taken the message: {error!r}."))
                raise

    def _lose(self, error: Exception) -> None:
        if not self._is_told:
            reason = str(error) or type(error).__name__
            console.warn(f"{time.strftime('%H:%M:%S')} RabbitMQ cannot be reached ({reason}); it is tried again.")
        self._is_told = True
        self._drop()

    def _note_absence(self) -> None:
        self._lost = self._lost or (time.time(), time.monotonic())
        since, begun = self._lost
        if time.monotonic() - begun > _ABSENCE:
            for note in self._absences:
                self._attempt(partial(note, since))

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        try:
            if connection and connection.is_open:
                connection.close()
        except (AMQPError, OSError):
            return
