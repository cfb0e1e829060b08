"""The messages of one queue put into another, in order: each leaves the one when the broker keeps it in the other."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

from pika import BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

from stack.errors import BrokerError
from stack.plan.drift import MOVING
from stack.processor.message import AmqpMessage
from stack.processor.source.rabbitmq.headers import note_origin
from stack.run.broker.broker import Broker
from stack.run.broker.connection import check_room, connected

# Seconds without a delivery after which the broker is asked whether the queue is empty, and between two attempts to be
# the only consumer; messages on their way to us at once, each of which may have 16 MB.
_IDLE, _PAUSE, _AHEAD = 0.05, 0.1, 20
_ATTEMPTS = 100
_ACCESS_REFUSED = 403

_KEPT = "Nothing was lost: what was not moved is back when it takes messages; one message may come twice."
_NOTHING = (None, None, None)
# By this we know our own consumer; each is on a channel of its own.
CONSUMER_TAG = "tidegate-moving"

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
        """Move all messages of a queue that nobody else consumes, and return how many they were."""
        with self.occupied(source, lambda: None) as occupation:
            return self.drain(occupation, target)

    def drain(self, occupation: "_Occupation", target: str) -> int:
        """Move all messages of an occupied queue."""
        count, sender = 0, self._connection.channel()
        sender.confirm_delivery()
        # What came while another stood in for the queue is the queue's.
        queue = occupation.queue.removesuffix(MOVING)
        for method, properties, body in occupation.deliveries():
            sender.basic_publish("", target, body, self._rewrite(queue, method, properties, body), mandatory=True)
            occupation.channel.basic_ack(method.delivery_tag)
            count += 1
        sender.close()
        return count


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
