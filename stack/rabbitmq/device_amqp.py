"""The device over AMQP: one connection, publisher confirms, nothing forgotten."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import Any

from pika import BasicProperties, DeliveryMode, SelectConnection, URLParameters
from pika.exceptions import ChannelClosedByBroker

from stack.errors import BrokerError
from stack.plan.device import EXCHANGE, ROUTING_KEY, Reading
from stack.rabbitmq.management import Broker


class PublishConfirms:
    """The bookkeeping of publisher confirms over one channel after another.

    RabbitMQ numbers what is published on a channel from 1, and sends a message that no queue takes back before it
    confirms it.
    """

    def __init__(self, readings: Iterable[Reading]) -> None:
        self.unheard: list[Reading] = []
        self._waiting = deque(readings)
        self._unconfirmed: dict[int, Reading] = {}
        self._returned: set[str] = set()
        self._again: list[Reading] = []
        self._last_tag = 0

    @property
    def is_empty(self) -> bool:
        """Return whether every reading is confirmed, or given up."""
        return not (self._waiting or self._unconfirmed or self._again)

    @property
    def has_waiting(self) -> bool:
        """Return whether there is one to publish."""
        return bool(self._waiting)

    @property
    def unconfirmed(self) -> int:
        """Return how many the broker has still to confirm."""
        return len(self._unconfirmed)

    def take(self) -> Reading:
        """Return the next one, which is published now."""
        self._last_tag += 1
        reading = self._unconfirmed[self._last_tag] = self._waiting.popleft()
        return reading

    def note_return(self, identity: str) -> None:
        """Note that no queue took a reading; its confirm follows."""
        self._returned.add(identity)

    def confirm(self, tag: int, *, multiple: bool, keep: bool) -> int:
        """Note a confirm, and return how many readings it says a queue took.

        Those that no queue took are kept to be tried again, if `keep`, or are unheard.
        """
        heard = 0
        for reading in self._settle(tag, multiple):
            if reading.identity not in self._returned:
                heard += 1
                continue
            self._returned.discard(reading.identity)
            (self._again if keep else self.unheard).append(reading)
        return heard

    def refuse(self, tag: int, *, multiple: bool) -> None:
        """Note that the broker could not keep some, which are tried again."""
        self._again.extend(self._settle(tag, multiple))

    def try_again(self) -> None:
        """Put those that were kept back among the waiting."""
        self._waiting.extend(self._again)
        self._again.clear()

    def restart(self) -> None:
        """Begin a new channel: what was not confirmed goes first, in its old order."""
        self._waiting.extendleft(reversed(self._unconfirmed.values()))
        self._unconfirmed.clear()
        self._returned.clear()
        self._last_tag = 0

    def _settle(self, tag: int, multiple: bool) -> Iterator[Reading]:
        if not multiple:
            yield self._unconfirmed.pop(tag)
            return
        # A dict keeps the order of insertion, and tags grow.
        while self._unconfirmed and (first := next(iter(self._unconfirmed))) <= tag:
            yield self._unconfirmed.pop(first)


Sent = Callable[[Reading], None]

# How many readings may wait for the broker's confirm: enough to keep it busy, little to send again.
_WINDOW = 500
# Seconds between two looks at the clock, and until a lost broker, or a reading that found no queue, is tried again.
_LOOK, _SHORTEST_LOOK, _AGAIN = 0.1, 0.001, 0.5
# Seconds that the broker, and then the queues that it had, may stay away.
_PATIENCE = 60.0


class AmqpDevice:
    """Publishes readings as persistent messages of the topic exchange; `sent` is told of each as it goes out.

    What was not confirmed when the connection broke is sent again, so that one may arrive twice and none is lost.
    """

    def __init__(self, broker: Broker, readings: Sequence[Reading], rate: float, sent: Sent) -> None:
        self._confirms = PublishConfirms(readings)
        self._address = f"{broker.host}:{broker.amqp_port}"
        self._parameters = URLParameters(broker.amqp_url)
        self._parameters.client_properties = {"connection_name": "tidegate-device"}
        self._rate = rate
        self._sent = sent
        self._count = 0
        self._start = self._last_open = self._last_heard = self._last_try = 0.0
        self._channel: Any = None
        self._failure: BaseException | None = None
        self._is_over = False

    def run(self, stop: threading.Event) -> Sequence[Reading]:
        """Send everything until all is confirmed or `stop` is set; return the readings that no queue took.

        Raises:
            BrokerError: the broker cannot be reached, or stayed away.
        """
        self._stop = stop
        self._connection = self._connect()
        self._loop = self._connection.ioloop
        self._look()
        try:
            self._loop.start()
        finally:
            self._loop.close()
        if self._failure:
            raise self._explain(self._failure) from self._failure
        return self._confirms.unheard

    def _connect(self, loop: Any = None) -> Any:
        return SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
            custom_ioloop=loop,
        )

    def _on_open(self, connection: Any) -> None:
        """Open a channel, unless all was over before the connection came about: it could not be closed then."""
        if self._is_over:
            connection.close()
        else:
            connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_return_callback(
            lambda _channel, _method, properties, _body: self._confirms.note_return(properties.message_id)
        )
        channel.add_on_close_callback(self._on_channel_closed)

        def declare(_frame: object) -> None:
            channel.exchange_declare(EXCHANGE, "topic", durable=False, callback=begin)

        def begin(_frame: object) -> None:
            now = monotonic()
            self._channel = channel
            self._last_open = now
            self._start = self._start or now
            self._last_heard = self._last_heard and now
            self._send()

        channel.confirm_delivery(self._on_confirm, callback=declare)

    def _look(self) -> None:
        """Send what is due, and look again in a moment, or end."""
        if self._is_over:
            return
        if self._stop.is_set() or self._confirms.is_empty:
            self._end()
            return
        now = monotonic()
        if now > self._last_try + _AGAIN:
            self._last_try = now
            self._confirms.try_again()
        self._send()
        wait = self._due() - now if self._rate and self._channel and self._confirms.has_waiting else _LOOK
        self._loop.call_later(min(max(wait, _SHORTEST_LOOK), _LOOK), self._look)

    def _send(self) -> None:
        confirms = self._confirms
        while self._channel and confirms.has_waiting and confirms.unconfirmed < _WINDOW and self._due() <= monotonic():
            reading = confirms.take()
            self._count += 1
            self._sent(reading)
            self._publish(reading)

    def _publish(self, reading: Reading) -> None:
        properties = BasicProperties(
            message_id=reading.identity,
            headers={"sensor": reading.sensor},
            delivery_mode=DeliveryMode.Persistent,
        )
        self._channel.basic_publish(EXCHANGE, ROUTING_KEY, reading.value.encode(), properties, mandatory=True)

    def _due(self) -> float:
        return self._start + self._count / self._rate if self._rate else 0.0

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        if method.NAME == "Basic.Nack":
            self._confirms.refuse(method.delivery_tag, multiple=method.multiple)
        else:
            # Queues that were there a moment ago come back with their functions, after a restart of the broker.
            keep = monotonic() < self._last_heard + _PATIENCE if self._last_heard else False
            if self._confirms.confirm(method.delivery_tag, multiple=method.multiple, keep=keep):
                self._last_heard = monotonic()
        self._send()

    def _on_channel_closed(self, _channel: Any, error: Exception) -> None:
        """Give up, if the broker refused something: it would do so again."""
        self._channel = None
        if isinstance(error, ChannelClosedByBroker):
            self._failure = error
            self._end()

    def _on_lost(self, _connection: Any, error: BaseException) -> None:
        self._channel = None
        if self._is_over:
            self._loop.stop()
        elif not self._start or monotonic() > self._last_open + _PATIENCE:
            self._failure = error
            self._loop.stop()
        else:
            self._confirms.restart()
            self._loop.call_later(_AGAIN, self._reconnect)

    def _reconnect(self) -> None:
        if not self._is_over:
            self._connection = self._connect(self._loop)

    def _end(self) -> None:
        self._is_over = True
        if self._connection.is_open:
            self._connection.close()
        elif self._connection.is_closed:
            self._loop.stop()

    def _explain(self, error: BaseException) -> BrokerError:
        if isinstance(error, ChannelClosedByBroker):
            return BrokerError(
                f"RabbitMQ refuses the exchange {EXCHANGE}: {error.reply_text}. "
                "If somebody declared it otherwise, delete it on RabbitMQ's own pages, then this again."
            )
        return BrokerError(f"RabbitMQ does not answer at {self._address}. Type `invoke up`, then this again.")
