"""The messages of one queue put into another, in order: each leaves the one when the broker keeps it in the other."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from pika import BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

from stack.errors import BrokerError
from stack.plan.account import ADMINISTRATOR
from stack.plan.device_account import SERVICE_ACCOUNT
from stack.plan.drift import MOVED, MOVING
from stack.processor.message import AmqpMessage
from stack.processor.source.rabbitmq.headers import note_origin
from stack.rabbitmq.connection import check_room, connected
from stack.rabbitmq.management import Broker

# Seconds without a delivery after which the broker is asked whether the queue is empty, and between two attempts to be
# the only consumer; messages on their way to us at once, each of which may have 16 MB.
_IDLE, _PAUSE, _AHEAD = 0.05, 0.1, 20
_ATTEMPTS = 100
_ACCESS_REFUSED = 403

_KEPT = "Nothing was lost: what was not moved is back when it takes messages; one message may come twice."
_NOTHING = (None, None, None)
# By this we know our own consumer; each is on a channel of its own.
CONSUMER_TAG = "tidegate-moving"

# Whose consumers go by the routing key: sessions of MQTT, whose topic it is, and the service of devices.
_BY_KEY = ("mqtt-subscription-", SERVICE_ACCOUNT)

# Gives the properties that a message has in its new queue: of the queue, how it was delivered, its properties and
# its body.
Rewrite = Callable[[str, Any, Any, bytes], Any]


class Transfer:
    """Moves messages over one connection."""

    def __init__(self, connection: BlockingConnection, rewrite: Rewrite) -> None:
        self._connection = connection
        self._rewrite = rewrite

    @contextmanager
    def occupied(self, queue: str, make_room: Callable[[], None]) -> Iterator[Any]:
        """Be the only consumer of a queue, after `make_room` has sent others away, and give the channel for it.

        Quorum queues let others in nevertheless.

        Raises:
            BrokerError: others come back sooner each time.
        """
        for _ in range(_ATTEMPTS):
            make_room()
            channel = self._connection.channel()
            channel.basic_qos(prefetch_count=_AHEAD)
            try:
                deliveries = _consume(channel, queue)
                first = next(deliveries)
            except ChannelClosedByBroker as error:
                if error.reply_code != _ACCESS_REFUSED:
                    raise
                sleep(_PAUSE)
                continue
            try:
                yield _Occupation(channel, queue, deliveries, first)
            finally:
                if channel.is_open:
                    channel.close()
            return
        raise BrokerError(f"The queue {queue} is consumed by others all the time; nothing was moved.")

    def move(self, source: str, target: str) -> int:
        """Move all messages of a queue that no one else consumes, and return how many they were."""
        with self.occupied(source, lambda: None) as occupation:
            return self.drain(occupation, target)

    def drain(self, occupation: "_Occupation", target: str) -> int:
        """Move all messages of an occupied queue."""
        count, sender = 0, self._connection.channel()
        sender.confirm_delivery()
        # What came while another stood in for the queue is the queue's.
        queue = occupation.queue.removesuffix(MOVING)
        with _keeping_keys(sender, queue, target=target) as exchange:
            for method, properties, body in occupation.deliveries():
                given = _sign(properties, queue) if exchange else self._rewrite(queue, method, properties, body)
                key = method.routing_key if exchange else target
                sender.basic_publish(exchange, key, body, given, mandatory=True)
                occupation.channel.basic_ack(method.delivery_tag)
                count += 1
        sender.close()
        return count


def _sign(properties: Any, queue: str) -> Any:
    """Have messages to the service of devices tell who moved them, which RabbitMQ makes sure of."""
    if queue.startswith(SERVICE_ACCOUNT):
        properties.user_id = ADMINISTRATOR
    return properties


@contextmanager
def _keeping_keys(channel: Any, queue: str, *, target: str) -> Iterator[str]:
    """Yield the exchange by which messages of a queue get into another under their own keys; nothing for others."""
    if not queue.startswith(_BY_KEY):
        yield ""
        return
    # With the bindings of a move that was interrupted: another queue's messages would come there too.
    channel.exchange_delete(MOVED)
    channel.exchange_declare(MOVED, "topic", auto_delete=True)
    channel.queue_bind(target, MOVED, "#")
    try:
        yield MOVED
    finally:
        if channel.is_open:
            channel.exchange_delete(MOVED)


def _consume(channel: Any, queue: str) -> Iterator[Any]:
    """Begin to consume exclusively; yield deliveries, or thrice nothing when there is none for a while."""
    inbox: deque[Any] = deque()
    channel.basic_consume(
        queue, lambda _channel, *delivery: inbox.append(delivery), exclusive=True, consumer_tag=CONSUMER_TAG
    )
    while True:
        if not inbox:
            channel.connection.process_data_events(time_limit=_IDLE)
        yield inbox.popleft() if inbox else _NOTHING


class _Occupation:
    """A queue that is consumed by us alone."""

    def __init__(self, channel: Any, queue: str, deliveries: Iterator[Any], first: Any) -> None:
        self.channel = channel
        self.queue = queue
        self._deliveries = deliveries
        self._first = first

    def deliveries(self) -> Iterator[Any]:
        """Yield deliveries until the queue is empty."""
        delivery, self._first = self._first, _NOTHING
        while True:
            if delivery[0] is not None:
                yield delivery
                delivery = next(self._deliveries)
                continue
            # What was on its way to us when it was counted is here by the answer.
            count = self.channel.queue_declare(self.queue, passive=True).method.message_count
            delivery = next(self._deliveries)
            if delivery[0] is None and not count:
                return


@contextmanager
def open_transfer(broker: Broker, rewrite: Rewrite) -> Iterator[Transfer]:
    """Open a connection to move messages over.

    Raises:
        BrokerError: the broker does not answer, refuses, or takes no messages; what was not moved is where it was.
    """
    check_room(broker)
    try:
        with connected(broker, "tidegate-moving", _KEPT) as connection:
            yield Transfer(connection, rewrite)
    except (NackError, UnroutableError) as error:
        raise BrokerError("RabbitMQ refused a message that was to be moved; it is where it was.") from error
    except AMQPError as error:
        raise BrokerError(
            f"RabbitMQ did not let all messages be moved: {error!r}. The others are where they were."
        ) from error


def keep_origin(key_of: Callable[[str], bytes]) -> Rewrite:
    """Note where messages were published first, which their new queue does not tell; `key_of` a queue signs it."""

    def rewrite(queue: str, method: Any, properties: Any, body: bytes) -> Any:
        message = AmqpMessage(method.exchange, method.routing_key, properties, body)
        return note_origin(message, queue, key_of(queue))

    return rewrite


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
        if not _take(channel, queue, number=number, taken=taken):
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
        """Return whether more are wanted, or there may be more that came back before."""
        return self.count < self.wanted or (self._came_back and self.wanted > 0)

    def add(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        """Add what was delivered."""
        is_full = self._most_bytes is not None and self._bytes >= self._most_bytes
        if self.count < self.wanted and not is_full:
            self.deliveries.append((method, properties, body))
        self._bytes += len(body)
        self.count += 1
        self._came_back = method.redelivered


def _take(channel: Any, queue: str, *, number: int, taken: _Taken) -> bool:
    """Take so many messages with a consumer of their own; return whether there were as many."""
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
