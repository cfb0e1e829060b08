"""Copies of failed messages on their way to the broker, until it has confirmed them.

They go over a connection of their own. A broker that is short of memory or disk reads nothing more from a connection
that publishes; acknowledgements on the same one would wait too, and with them all that makes room.
"""

import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from stack.processor.source.broker import Delays
from stack.processor.source.rabbitmq.connection import Connection
from stack.processor.source.rabbitmq.topology import RetryMessage

# Seconds until a copy that the broker did not take is published again; between attempts to connect, at most; and until
# a queue that it refuses is asked for again.
_PUBLISH_AGAIN, _LONGEST_DELAY, _ASK_AGAIN = 1.0, 15.0, 15.0
# Seconds after which a quorum queue outlives its broker: RabbitMQ 4.0 forgets one that it was killed within half a
# second of, and the messages that it has confirmed with it.
_LASTING = 2.0
_ACCESS_REFUSED, _INEQUIVALENT = 403, 406

Confirmed = Callable[[], None]
BuildRetry = Callable[[bool], RetryMessage]


class PublishRequest(NamedTuple):
    """A copy to be kept; `make` makes it, bare if so told, and `confirmed` is called when the broker has it."""

    make: BuildRetry
    confirmed: Confirmed
    is_wanted: Callable[[], bool]
    """Tells whether the original is still with us; if it is not, the broker delivers it again."""
    is_bare: bool = False


class _Sent(NamedTuple):
    copy: RetryMessage
    request: PublishRequest


class RetryPublisher:
    """Publishes copies, and connects for the first; all methods run on the I/O thread.

    The queues are declared at the first copy, so that functions which never fail leave none behind. Copies for a queue
    that the broker refuses are put aside, so that those for others go on; `tell` is told which, and nothing once it
    takes them. Their originals stay unacknowledged.
    """

    def __init__(self, parameters: Any, loop: Any, queue_type: str, *, report: Callable[[str], None]) -> None:
        self._parameters = parameters
        self._loop = loop
        self._queue_type = queue_type
        self._report = report
        self._aside: list[PublishRequest] = []
        # Why the broker refuses a queue: until it is asked again, and until it has taken a copy for it.
        self._refused: dict[str, str] = {}
        self._reported: dict[str, str] = {}
        self._delays = Delays(_LONGEST_DELAY)
        self._connection: Any = None
        self._channel: Any = None
        self._waiting: deque[PublishRequest] = deque()
        self._unconfirmed: dict[int, _Sent] = {}
        self._numbers = count(1)
        self._declared: set[str] = set()
        self._declaring = ""
        # When each queue is sure to last, and the copies that are confirmed, but not yet sure to.
        self._lasts_from: dict[str, float] = {}
        self._unsure: list[PublishRequest] = []
        self._returned: set[int] = set()
        self._is_careful = False
        self._is_closed = False

    @property
    def is_settled(self) -> bool:
        """Return whether every copy is confirmed, not wanted any more, or for a queue that the broker refuses."""
        return not any(request.is_wanted() for request in self._requests_left())

    @property
    def is_connected(self) -> bool:
        """Return whether there is a connection, or an attempt to make one."""
        return self._connection is not None

    def publish(self, request: PublishRequest) -> None:
        """Publish a copy; again and again where the broker does not take it."""
        self._waiting.append(request)
        self._advance()

    def close(self) -> None:
        """Disconnect."""
        self._is_closed = True
        if self._connection and self._connection.is_open:
            self._connection.close()

    def _requests_left(self) -> list[PublishRequest]:
        return [*self._waiting, *(sent.request for sent in self._unconfirmed.values()), *self._unsure]

    def _advance(self) -> None:
        """Send what waits, as far as that can be done now."""
        if self._is_closed or (self._connection and not self._channel):
            return
        if not self._connection:
            self._connect()
            return
        while self._waiting and not self._declaring and not (self._is_careful and self._unconfirmed):
            request = self._waiting.popleft()
            if request.is_wanted():
                self._take(request)

    def _take(self, request: PublishRequest) -> None:
        copy, request = _make(request)
        if copy.queue in self._refused:
            self._aside.append(request)
            return
        if copy.queue in self._declared:
            self._send(copy, request)
            return
        self._waiting.appendleft(request)
        self._declaring = copy.queue
        declared, arguments = partial(self._on_declared, copy.queue), copy.arguments(self._queue_type)
        self._channel.queue_declare(copy.queue, durable=True, arguments=arguments, callback=declared)

    def _on_declared(self, queue: str, _frame: object) -> None:
        self._declared.add(queue)
        if self._queue_type == "quorum":
            self._lasts_from.setdefault(queue, monotonic() + _LASTING)
        self._declaring = ""
        self._advance()

    def _send(self, copy: RetryMessage, request: PublishRequest) -> None:
        """Publish; a copy counts among those to be confirmed once it has left without an error."""
        try:
            self._channel.basic_publish("", copy.queue, copy.body, copy.properties, mandatory=True)
        except Exception as error:
            if not self._channel or not self._channel.is_open:
                self._waiting.appendleft(request)
                return
            sys.stderr.write(f"the copy of a failed message cannot be sent as it is: {error!r}\n")
            self._loop.call_later(_PUBLISH_AGAIN, self.publish, request._replace(is_bare=True))
            return
        self._unconfirmed[next(self._numbers)] = _Sent(copy, request)

    def _on_return(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        """Note that a queue is gone, and which copy came back; the broker confirms that copy all the same.

        Of copies that are alike any will do. Where the broker has changed one's headers, all of its queue come again.
        """
        self._declared.discard(method.routing_key)
        there = {tag: sent.copy for tag, sent in self._unconfirmed.items() if sent.copy.queue == method.routing_key}
        headers = properties.raw_headers
        alike = [tag for tag, copy in there.items() if copy.properties.raw_headers == headers and copy.body == body]
        first = next((tag for tag in alike if tag not in self._returned), None)
        self._returned.update(there if first is None else (first,))

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        last = method.delivery_tag
        tags = [tag for tag in self._unconfirmed if tag <= last] if method.multiple else [last]
        for tag in tags:
            copy, request = self._unconfirmed.pop(tag)
            if method.NAME == "Basic.Ack" and tag not in self._returned:
                self._delays.reset()
                if self._reported.pop(copy.queue, ""):
                    self._report_refusals()
                self._confirm(copy.queue, request)
            else:
                self._loop.call_later(_PUBLISH_AGAIN, self.publish, request)
            self._returned.discard(tag)
        self._is_careful = self._is_careful and bool(self._unconfirmed or self._waiting)
        self._advance()

    def _confirm(self, queue: str, request: PublishRequest) -> None:
        """Have the original acknowledged, where the queue of the copy may be new only once it is sure to last."""
        seconds = self._lasts_from.get(queue, 0.0) - monotonic()
        if seconds <= 0:
            request.confirmed()
            return
        self._unsure.append(request)
        self._loop.call_later(seconds, partial(self._confirm_unsure, request))

    def _confirm_unsure(self, request: PublishRequest) -> None:
        self._unsure.remove(request)
        if request.is_wanted():
            request.confirmed()

    def _connect(self) -> None:
        if not self._is_closed and not self._connection:
            self._connection = Connection(
                self._parameters,
                on_open_callback=lambda connection: connection.channel(on_open_callback=self._on_channel),
                on_open_error_callback=self._on_lost,
                on_close_callback=self._on_lost,
                custom_ioloop=self._loop,
            )

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.add_on_close_callback(self._on_channel_lost)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._on_open(channel))

    def _on_open(self, channel: Any) -> None:
        self._channel = channel
        self._advance()

    def _on_channel_lost(self, channel: Any, error: Exception) -> None:
        """Begin again with another connection, knowing why the broker closed the channel."""
        if isinstance(error, ChannelClosedByBroker):
            self._attribute(error.reply_code, error.reply_text)
        self._channel = None
        if channel.connection.is_open:
            channel.connection.close()

    def _attribute(self, code: int, text: str) -> None:
        """Find out what the broker refused: a queue that is there and another, or one of the copies.

        It does not say which copy, so from then on each is sent alone; one that is refused alone goes bare, or waits
        where its account may not do it.
        """
        sys.stderr.write(f"the broker refused the copy of a failed message: {text}\n")
        if self._declaring and code == _INEQUIVALENT:
            self._declared.add(self._declaring)
        elif code == _ACCESS_REFUSED and (queue := self._declaring or self._find_only_queue()):
            self._refuse(queue, text)
        elif not self._declaring and len(self._unconfirmed) == 1:
            ((tag, sent),) = self._unconfirmed.items()
            self._unconfirmed[tag] = sent._replace(request=sent.request._replace(is_bare=True))
        self._is_careful = True

    def _find_only_queue(self) -> str:
        """Return where the one copy goes that is not confirmed; nothing where there are several."""
        return next(iter(self._unconfirmed.values())).copy.queue if len(self._unconfirmed) == 1 else ""

    def _refuse(self, queue: str, text: str) -> None:
        """Put copies for a queue aside for a while, and tell of it."""
        if not self._refused:
            self._loop.call_later(_ASK_AGAIN, self._ask_again)
        self._refused[queue] = text
        self._declared.discard(queue)
        if self._reported.get(queue) != text:
            self._reported[queue] = text
            self._report_refusals()

    def _ask_again(self) -> None:
        """Publish what was put aside, as far as the originals are still with us."""
        self._refused.clear()
        wanted = [request for request in self._aside if request.is_wanted()]
        self._aside.clear()
        self._waiting.extend(wanted)
        if self._reported and not any(request.is_wanted() for request in self._requests_left()):
            self._reported.clear()
            self._report_refusals()
        self._advance()

    def _report_refusals(self) -> None:
        self._report(
            "; ".join(f"the broker refuses the queue {queue}: {text}" for queue, text in self._reported.items())
        )

    def _on_lost(self, _connection: Any, error: BaseException) -> None:
        if isinstance(error, ConnectionClosedByBroker) and self._unconfirmed:
            self._attribute(error.reply_code, error.reply_text)
        self._waiting.extendleft(reversed([sent.request for sent in self._unconfirmed.values()]))
        self._unconfirmed.clear()
        self._returned.clear()
        self._numbers = count(1)
        self._connection = self._channel = None
        self._declaring = ""
        if any(request.is_wanted() for request in self._waiting):
            self._loop.call_later(self._delays.next(), self._advance)


def _make(request: PublishRequest) -> tuple[RetryMessage, PublishRequest]:
    """Return a copy; a bare one where the original's properties allow no other."""
    if not request.is_bare:
        try:
            return request.make(False), request
        except Exception as error:
            sys.stderr.write(f"the copy of a failed message cannot be made as it is: {error!r}\n")
    return request.make(True), request._replace(is_bare=True)
