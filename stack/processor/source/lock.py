"""Which of a function's replicas is active, where one alone may act: the one that the stack's broker lets.

RabbitMQ lets one connection alone consume a queue, and the next one in when that ends, however that comes about.
"""

import hmac
import threading
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic, time
from typing import Any, NamedTuple
from uuid import uuid4

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack.contract import name_lock
from stack.processor.configuration import Function, Trigger
from stack.processor.source.broker import Delays
from stack.processor.threads import start_thread

# Seconds between two looks whether someone has the queue.
_AGAIN = 1.0
# Milliseconds: nothing else removes a queue that outlived, with the broker, all who wanted it.
_UNUSED = {"x-expires": 60_000}
# Seconds: a holder whose network is cut is inactive, for the broker, after two of these.
_HEARTBEAT = 5
_LONGEST_DELAY = 15.0
_ACCESS_REFUSED = 403


class Lock:
    """Held by one connection at a time, of a broker of one node.

    While the broker is away no one can tell who is there: then the one that held it goes on holding it, and one that
    was refused stays inactive; one that has not reached the broker yet takes itself for the only one.
    """

    def __init__(self, url: str, queue: str) -> None:
        self._is_held = True
        self._queue = queue
        self._parameters = URLParameters(url)
        self._parameters.heartbeat = _HEARTBEAT
        self._parameters.client_properties = {"connection_name": queue}
        self._is_settled = threading.Event()
        self._is_stopped = threading.Event()
        self._delays = Delays(_LONGEST_DELAY)
        self._thread: threading.Thread | None = None

    @property
    def is_held(self) -> bool:
        """Return whether this replica is active."""
        return self._is_held

    def claim(self, due: float | None) -> bool:
        """Return whether this replica is to run what is due, at a moment of the clock if one is given."""
        return self.is_held

    def start(self) -> None:
        """Try to get it, again and again."""
        self._thread = start_thread("lock", self._run)

    def settle(self) -> None:
        """Wait until it is known whether it is held, as far as that can be known."""
        self._is_settled.wait()

    def close(self, timeout: float) -> None:
        """Let go of it."""
        self._is_stopped.set()
        if self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            try:
                with BlockingConnection(self._parameters) as connection:
                    self._delays.reset()
                    self._hold(connection)
            except (AMQPError, OSError):
                self._is_settled.set()
                self._is_stopped.wait(self._delays.next())

    def _hold(self, connection: Any) -> None:
        """Get it as soon as it is free, and keep it while the connection lasts."""
        channel = connection.channel()
        while not self._is_stopped.is_set():
            if not channel.is_open:
                channel = connection.channel()
            self._is_held = bool(channel.consumer_tags) or self._take(channel)
            self._is_settled.set()
            connection.process_data_events(0)
            self._is_stopped.wait(_AGAIN)

    def _take(self, channel: Any) -> bool:
        """Return whether the broker lets this connection have the queue.

        It is asked only when no one is there: each refusal is an error in the broker's log.

        Raises:
            ChannelClosedByBroker: the account may not use the queue, so that no one can tell who is there.
        """
        try:
            found = channel.queue_declare(self._queue, durable=True, auto_delete=True, arguments=_UNUSED)
            if found.method.consumer_count:
                return False
            channel.basic_consume(self._queue, _ignore, auto_ack=True, exclusive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code == _ACCESS_REFUSED:
                raise
            return False
        return True


def _ignore(*_message: object) -> None:
    """Take what someone may send there."""


# A queue that more than half of the nodes keep. A quorum queue lets a second exclusive consumer in, but only one active
# consumer; no attempt to hand a message on is one too many.
_TOKEN_QUEUE = {
    **_UNUSED,
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    "x-delivery-limit": -1,
    "x-max-length": 100,
    "x-overflow": "reject-publish",
}
# More than there are messages in the queue: of several the active consumer keeps one.
_AHEAD = 200
# Seconds: after which the holder gives the message back, to get it again; for how long it is active without; and after
# which one that has not got it sends another, should there be none. RabbitMQ takes a node for gone after 7.5 s at the
# earliest (net_ticktime), a client after 10 s: one that is cut off with too few nodes is inactive before
# another is active.
_RENEWAL, _LEASE, _ANOTHER = 2.0, 6.0, 15.0
# Seconds for which what is due waits for an active replica, and between looks.
_LATE, _LOOK = 30.0, 0.02
# Seconds that a node may take to answer before the next one is tried.
_CONNECT_SECONDS = 3
# Seconds by which the clocks of machines may differ: a moment that is further ahead was one of a clock that was wrong,
# and has been set since.
_WRONG_CLOCK = 3600.0


class Token(NamedTuple):
    """What the message says: the last moment of the clock that was run, if any, and who has noted it."""

    due: float = 0.0
    note: str = ""


class TokenLock(Lock):
    """Held by one connection at a time, of a broker of several nodes.

    Who consumes the queue and is the active consumer gets the message in it, the token, and so learns of it. While no
    more than half of the nodes are there, no one is active.
    """

    def __init__(self, url: str, queue: str) -> None:
        super().__init__(url, queue)
        self._parameters.socket_timeout = _CONNECT_SECONDS
        self._connection: Any = None
        self._seen = -inf
        self._tag = 0
        self._token = Token()

    @property
    def is_held(self) -> bool:
        """Return whether this replica is active."""
        return monotonic() - self._seen < _LEASE

    def claim(self, due: float | None) -> bool:
        """Return whether this replica is to run what is due; a moment of the clock waits for one that is active.

        Such a moment is noted in the token first: no other replica runs it then, and one that is active next runs what
        was not noted.
        """
        if due is None:
            return self.is_held
        token, until, is_sent = Token(due, uuid4().hex), monotonic() + _LATE, False
        while monotonic() < until and not self._is_stopped.is_set():
            self._forget_wrong_clock()
            if self._token.due >= due:
                return self._token == token and self.is_held
            if self.is_held and not is_sent:
                is_sent = self._send(token)
            self._is_stopped.wait(_LOOK)
        return False

    def _send(self, token: Token) -> bool:
        """Have the connection's thread send a token; return whether it can."""
        with suppress(AMQPError, AttributeError):
            self._connection.add_callback_threadsafe(partial(self._publish, token))
            return True
        return False

    def _hold(self, connection: Any) -> None:
        """Consume the queue while the connection lasts; inactive as soon as it ends, since another is active then."""
        channel = self._channel = connection.channel()
        channel.basic_qos(prefetch_count=_AHEAD)
        channel.queue_declare(self._queue, durable=True, arguments=_TOKEN_QUEUE)
        channel.basic_consume(self._queue, self._on_token)
        self._connection = connection
        try:
            self._renew(connection, channel)
        finally:
            self._connection, self._tag, self._seen = None, 0, -inf

    def _renew(self, connection: Any, channel: Any) -> None:
        """Give the token back again and again, since to get it once more is a proof."""
        sent = -inf
        while not self._is_stopped.is_set() and channel.consumer_tags:
            now = monotonic()
            if not self.is_held and now - sent > _ANOTHER:
                self._publish(self._token)
                sent = now
            connection.process_data_events(_AGAIN)
            self._is_settled.set()
            if self._tag and monotonic() - self._seen > _RENEWAL:
                channel.basic_nack(self._tag, requeue=True)
                self._tag = 0

    def _publish(self, token: Token) -> None:
        text = f"{token.due!r} {token.note}"
        self._channel.basic_publish("", self._queue, f"{text} {self._sign(text)}".encode())

    def _read(self, body: bytes) -> Token:
        """Return what a message says; one that another program has sent says nothing."""
        text, _, signature = body.decode(errors="replace").rpartition(" ")
        if not hmac.compare_digest(self._sign(text).encode(), signature.encode()):
            return Token()
        due, _, note = text.partition(" ")
        return Token(float(due), note)

    def _sign(self, text: str) -> str:
        """Sign a text by what only replicas of the function know: the password of its account."""
        key = self._parameters.credentials.password.encode()
        return hmac.digest(key, f"{self._queue} {text}".encode(), "sha256").hex()

    def _on_token(self, channel: Any, method: Any, _properties: object, body: bytes) -> None:
        """Keep one message, that of the latest moment, and have the others forgotten."""
        found, self._seen = self._read(body), monotonic()
        self._forget_wrong_clock()
        if found.due > time() + _WRONG_CLOCK:
            found = Token()
        if self._tag and found.due <= self._token.due:
            channel.basic_ack(method.delivery_tag)
            return
        if self._tag:
            channel.basic_ack(self._tag)
        self._tag = method.delivery_tag
        if found.due > self._token.due:
            self._token = found

    def _forget_wrong_clock(self) -> None:
        """Forget a moment so far ahead that nothing would be run for too long; the next one that is run is noted."""
        if self._token.due > time() + _WRONG_CLOCK:
            self._token = Token()


def open_lock(function: Function, trigger: Trigger) -> Lock | None:
    """Return what tells whether this replica may run a trigger; nothing where there is no broker that could."""
    if not function.broker_url:
        return None
    kind = Lock if function.broker_nodes == 1 else TokenLock
    return kind(function.broker_url, name_lock(function.namespace, function.name, trigger=trigger.name))
