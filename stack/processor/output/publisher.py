"""Messages of outputs on their way to the stack's broker, until it has confirmed them.

They go over a connection of their own, one a worker: a broker that is short of memory or disk reads nothing more from a
connection that publishes. What was sent and not confirmed when a connection is lost is sent again, under the same id.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from time import monotonic
from typing import Any

from pika.exceptions import ChannelClosedByBroker

from stack.contract import COPIES
from stack.processor.attributes import Attributes
from stack.processor.configuration import Function, Trigger
from stack.processor.output.message import OutputMessage
from stack.processor.output.outbox import Outbox
from stack.processor.output.target import Route, Target
from stack.processor.source.broker import Delays
from stack.processor.source.rabbitmq.connection import (
    WritingConnection,
    explain_error,
    plan_connection,
    plan_publishing,
)
from stack.processor.source.rabbitmq.field_table import encode_table
from stack.processor.source.rabbitmq.headers import ROOM
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.source.rabbitmq.topology import QUEUE_TYPE

# Seconds: after which the broker has not taken a message; between looks at that; and between attempts to connect.
_TIMEOUT, _LOOK, _LONGEST_DELAY = 30.0, 1.0, 5.0
_PERSISTENT, _TRANSIENT = 2, 1
# What a frame holds of headers; the other properties are short.
_HEADERS_ROOM = ROOM - 1024


class Send:
    """One message, and what became of it."""

    __slots__ = ("deadline", "is_again", "is_returned", "message", "outbox", "route")

    def __init__(self, message: OutputMessage, route: Route, outbox: Outbox, deadline: float) -> None:
        self.message = message
        self.route = route
        self.outbox = outbox
        self.deadline = deadline
        self.is_returned = False
        self.is_again = False

    def fail(self, reason: str) -> None:
        """Have its event fail."""
        self.outbox.note_failure(f"the output {self.message.output}: {reason}")


class OutputPublisher:
    """Publishes with confirms, and declares what outputs need; all methods run on the loop's thread."""

    def __init__(self, parameters: Any, loop: Any, targets: Mapping[str, Target]) -> None:
        self._parameters = parameters
        self._address = f"{parameters.host}:{parameters.port}"
        self._loop = loop
        self._targets = targets
        routes = (target.route for target in targets.values() if target.route)
        self._routes = tuple(dict.fromkeys(route for route in routes if route.declares))
        self._delays = Delays(_LONGEST_DELAY)
        self._connection: Any = None
        self._channel: Any = None
        self._waiting: deque[Send] = deque()
        # Those whose queue is being declared again.
        self._declaring: list[Send] = []
        self._unconfirmed: dict[int, Send] = {}
        self._numbers = count(1)
        # After the broker has closed the channel it is not known over which message; so they go one by one.
        self._careful = 0
        self._is_watching = False
        self._on_closed: Callable[[], None] | None = None
        self._trouble = "there is no connection to the broker yet"

    def open(self) -> None:
        """Connect."""
        self._connection = WritingConnection(
            self._parameters,
            on_open_callback=lambda _connection: self._declare(self._routes),
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
            custom_ioloop=self._loop,
        )

    def publish(self, outboxes: Iterable[Outbox]) -> None:
        """Publish what is in some outboxes and goes to the broker, all in one write."""
        deadline = monotonic() + _TIMEOUT
        for outbox in outboxes:
            for message in outbox.messages:
                if route := self._targets[message.output].route:
                    self._waiting.append(Send(message, route, outbox, deadline))
        self._advance()
        self._start_watching()

    def _start_watching(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._loop.call_later(_LOOK, self._watch)

    def close(self, done: Callable[[], None]) -> None:
        """Disconnect, then call `done`."""
        self._on_closed = done
        if self._connection and self._connection.is_open:
            self._connection.close()
        else:
            done()

    def _advance(self) -> None:
        if not self._channel:
            return
        with self._connection.collected():
            while self._waiting and self._channel and not (self._careful and self._unconfirmed):
                self._send(self._waiting.popleft())

    def _send(self, send: Send) -> None:
        if send.outbox.is_settled:
            return
        route, message = send.route, send.message
        try:
            key, properties = route.to_key(message.address), _describe(message, route)
            if len(properties.raw_headers or b"") > _HEADERS_ROOM:
                # The broker would close the connection.
                send.fail("its headers are too long")
                return
            self._channel.basic_publish(route.exchange, key, message.body, properties, mandatory=bool(route.queue))
        except Exception as error:
            if self._channel and self._channel.is_open:
                send.fail(f"it cannot be sent as it is: {error!r}")
            else:
                self._waiting.appendleft(send)
                self._channel = None
            return
        self._unconfirmed[next(self._numbers)] = send

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tag = method.delivery_tag
        is_taken = method.NAME == "Basic.Ack"
        for number in self._find_tags(tag) if method.multiple else (tag,):
            self._resolve(self._unconfirmed.pop(number), is_taken=is_taken)
        self._delays.reset()
        self._advance()

    def _find_tags(self, last: int) -> list[int]:
        tags = []
        for tag in self._unconfirmed:
            if tag > last:
                break
            tags.append(tag)
        return tags

    def _resolve(self, send: Send, *, is_taken: bool) -> None:
        self._careful -= bool(self._careful)
        if not is_taken:
            send.fail("the broker refused it: a queue that it goes to is full")
        elif not send.is_returned:
            send.outbox.note_sent()
        elif send.is_again:
            send.fail(f"there is no queue {send.message.address!r}, and it cannot be declared: {self._trouble}")
        else:
            self._send_again(send)

    def _send_again(self, send: Send) -> None:
        """Declare a queue that is gone once more, and publish its message then."""
        send.is_again, send.is_returned = True, False
        self._declaring.append(send)

        def publish() -> None:
            if send in self._declaring:
                self._declaring.remove(send)
                self._waiting.append(send)
                self._advance()
                self._start_watching()

        self._declare((send.route,), publish)

    def _on_return(self, _channel: object, _method: Any, properties: Any, _body: bytes) -> None:
        """Note that the queue of a message is gone; the broker confirms the message all the same."""
        for send in self._unconfirmed.values():
            if send.message.message_id == properties.message_id and not send.is_returned:
                send.is_returned = True
                return

    def _declare(self, routes: Iterable[Route | None], done: Callable[[], None] | None = None) -> None:
        """Declare things, each on a channel of its own, since the broker closes that of one that it refuses.

        What is there otherwise than it is declared, or may not be declared by this function, is used as it is.
        """
        first, *rest = [*filter(None, routes), None]
        if first is None:
            (done or self._open_channel)()
            return

        def go_on(_channel: object, error: BaseException) -> None:
            if isinstance(error, ChannelClosedByBroker):
                self._trouble = error.reply_text
            if self._connection and self._connection.is_open:
                self._declare(rest, done)

        def declare(channel: Any) -> None:
            channel.add_on_close_callback(go_on)
            _declare_route(channel, first, lambda _frame: channel.close())

        self._connection.channel(on_open_callback=declare)

    def _open_channel(self) -> None:
        def begin(channel: Any) -> None:
            channel.add_on_return_callback(self._on_return)
            channel.add_on_close_callback(self._on_channel_lost)
            channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._on_open(channel))

        self._connection.channel(on_open_callback=begin)

    def _on_open(self, channel: Any) -> None:
        self._channel = channel
        self._advance()

    def _on_channel_lost(self, _channel: Any, error: BaseException) -> None:
        """Have the message fail that the broker closes the channel over; what it may be is sent again one by one."""
        if not isinstance(error, ChannelClosedByBroker):
            return
        sends = list(self._unconfirmed.values())
        if not self._careful:
            self._careful = len(sends)
        elif sends and sends[0].is_again:
            self._careful -= 1
            sends.pop(0).fail(error.reply_text)
        elif sends:
            sends[0].is_again = True
        self._restore(sends)
        self._declare(self._routes)

    def _on_lost(self, _connection: Any, error: BaseException) -> None:
        self._trouble = explain_error(error, self._address)
        for send in self._declaring:
            # All is declared on the next connection, where it may be returned once more.
            send.is_again = False
        self._restore([*self._declaring, *self._unconfirmed.values()])
        self._declaring.clear()
        self._connection = None
        if self._on_closed:
            self._on_closed()
        else:
            self._loop.call_later(self._delays.next(), self.open)

    def _restore(self, sends: list[Send]) -> None:
        """Have messages sent again on the next channel, before all others."""
        self._channel = None
        self._waiting.extendleft(reversed(sends))
        self._unconfirmed.clear()
        self._numbers = count(1)

    def _watch(self) -> None:
        """Have events fail whose messages the broker has not taken in time."""
        now = monotonic()
        reason = "" if self._channel else f": {self._trouble}"
        for send in (*self._unconfirmed.values(), *self._waiting, *self._declaring):
            if send.deadline < now:
                send.fail(f"the broker has not taken it within {_TIMEOUT:g} s{reason}")
        if any(send.deadline < now for send in self._unconfirmed.values()) and self._connection.is_open:
            # Else what still waits to be written of them would leave after their events have failed.
            self._connection.abort()
            self._channel = None
        self._waiting = deque(send for send in self._waiting if not send.outbox.is_settled)
        self._declaring = [send for send in self._declaring if not send.outbox.is_settled]
        self._is_watching = bool(self._unconfirmed or self._waiting or self._declaring)
        if self._is_watching:
            self._loop.call_later(_LOOK, self._watch)


def _describe(message: OutputMessage, route: Route) -> Properties:
    copies = [(COPIES, route.copies)] if route.copies else []
    return Properties(
        content_type=message.content_type,
        raw_headers=encode_table([*message.headers.items(), *copies]),
        delivery_mode=_PERSISTENT if route.is_persistent else _TRANSIENT,
        correlation_id=message.correlation_id,
        message_id=message.message_id,
    )


def _declare_route(channel: Any, route: Route, done: Callable[[object], None]) -> None:
    if route.queue:
        arguments = {QUEUE_TYPE: route.queue_type} if route.queue_type else {}
        channel.queue_declare(route.queue, durable=route.is_durable, arguments=arguments, callback=done)
    else:
        declare = partial(channel.exchange_declare, exchange_type="topic", durable=route.is_durable)
        declare(route.exchange, callback=done)


def open_publisher(function: Function, targets: Mapping[str, Target], loop: Any) -> OutputPublisher:
    """Return what publishes to the stack's broker, by the function's own account."""
    nothing = Attributes("spec.outputs", {})
    broker = Trigger("outputs", "rabbit-mq", 1, function.broker_url, "", "", nothing, 0.0, 0.0)
    return OutputPublisher(plan_publishing(plan_connection(broker, function)), loop, targets)
