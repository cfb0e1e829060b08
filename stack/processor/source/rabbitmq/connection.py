"""The connection to a RabbitMQ broker: where it is, how it reads, and why it failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from struct import Struct
from typing import Any
from urllib.parse import urlsplit

from pika import PlainCredentials, SSLOptions, URLParameters
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import ConnectionClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError
from pika.frame import Method, decode_frame
from pika.spec import FRAME_END_SIZE, FRAME_HEADER_SIZE, Basic

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.source.broker import open_tls
from stack.processor.source.rabbitmq.delivered import read_delivered

# Seconds between heartbeats where the URL does not say; a dead connection shows after two. A handler that keeps
# Python's lock to itself lets none through; with the stack's own broker, whose kernel and ours find out sooner
# whether the other end is there (compose.yaml), that may take minutes.
_HEARTBEAT, _OWN_HEARTBEAT = 30, 600
# Seconds, but for the last two: a probe number, and milliseconds until what was sent must have arrived.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
# Of several nodes another goes on when one is gone, so that it is worth to find out sooner; and the seconds that one
# may take to answer before the next is tried.
_NODES_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
_NODES_HEARTBEAT, _NODES_CONNECT = 5, 3
# What the URL may carry, as a query, to say otherwise.
_HEARTBEAT_KEY = "heartbeat="


def plan_connection(trigger: Trigger, function: Function) -> Any:
    """Return pika's parameters for the broker of a trigger.

    Raises:
        ConfigurationError: the URL is not one of AMQP, or a certificate cannot be read.
    """
    try:
        if not trigger.url.startswith(("amqp://", "amqps://")):
            raise ValueError("it should begin with amqp:// or amqps://")
        parameters = URLParameters(trigger.url)
    except (ValueError, KeyError, TypeError) as error:
        where = f"spec.triggers.{trigger.name}.url"
        raise ConfigurationError(f"{where}: {trigger.url_to_show!r} is not the URL of a broker: {error}") from None
    if trigger.username:
        parameters.credentials = PlainCredentials(trigger.username, trigger.password)
    if parameters.ssl_options:
        parameters.ssl_options = SSLOptions(open_tls(trigger.attributes), parameters.host)
    is_own = parameters.host == urlsplit(function.broker_url).hostname
    if _HEARTBEAT_KEY not in trigger.url:
        parameters.heartbeat = _OWN_HEARTBEAT if is_own else _HEARTBEAT
    parameters.tcp_options = _KEEPALIVE
    if is_own and function.broker_nodes > 1:
        parameters.tcp_options, parameters.socket_timeout = _NODES_KEEPALIVE, _NODES_CONNECT
    parameters.client_properties = {"connection_name": f"nuclio-{function.name}-{trigger.name}"}
    # The source itself tries again, with growing delays.
    parameters.connection_attempts = 1
    return parameters


def plan_publishing(parameters: Any) -> Any:
    """Return the parameters of a connection that publishes: a broker may stop to read from it, which is no failure."""
    publishing = copy(parameters)
    longest = _NODES_HEARTBEAT if parameters.tcp_options is _NODES_KEEPALIVE else _HEARTBEAT
    publishing.heartbeat, publishing.tcp_options = min(parameters.heartbeat, longest), None
    return publishing


def explain_error(error: BaseException, address: str) -> str:
    """Return in one line why a connection could not be made, or was lost."""
    cause = _find_cause(error)
    if isinstance(cause, ProbableAuthenticationError | ProbableAccessDeniedError):
        return f"the broker {address} refused the name, the password or the virtual host: {_first_line(cause)}"
    if isinstance(cause, ConnectionClosedByBroker):
        return f"the broker {address} closed the connection: {cause.reply_text}"
    return f"no connection to the broker {address}: {_first_line(cause)}"


def _find_cause(error: BaseException) -> BaseException:
    """Return the error at the bottom of those that pika wraps around it."""
    while True:
        inner = getattr(error, "exceptions", None) or getattr(error, "exception", None) or error.args[:1]
        inner = inner[-1] if isinstance(inner, list | tuple) and inner else inner
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


# The size of a frame, and where in its head it is: after the type and the channel (AMQP 0-9-1, 4.2.3).
_SIZE, _SIZE_AT = Struct(">L"), 3


class Connection(AsyncioConnection):  # type: ignore[misc]
    """Reads as pika does, but messages in one go, and cuts its buffer once for all that a read of the socket brought.

    The methods are pika's own hooks, which it calls on itself.
    """

    _frame_buffer: bytes

    def _on_data_available(self, data_in: bytes) -> None:
        if not self.is_open:
            super()._on_data_available(data_in)
            return
        buffer = self._frame_buffer = self._frame_buffer + data_in
        start, end = 0, len(buffer)
        while start + FRAME_HEADER_SIZE <= end:
            stop = self._take_message(buffer, start) or self._take_frame(buffer, start)
            if self._frame_buffer is not buffer:
                # What it said has ended the connection.
                return
            if not stop:
                break
            start = stop
        self._frame_buffer = buffer[start:]

    def _take_message(self, buffer: bytes, start: int) -> int:
        """See to a message that begins here; return where it ends, or 0 if that is to be found frame by frame."""
        message = read_delivered(buffer, start)
        channel = self._channels.get(message.channel_number) if message else None
        if not message or not channel:
            return 0
        self.bytes_received += message.stop - start
        channel._on_deliver(message, message, message.body)
        return message.stop

    def _take_frame(self, buffer: bytes, start: int) -> int:
        """See to the frame that begins here; return where it ends, or 0 if it is not whole yet."""
        stop: int = start + FRAME_HEADER_SIZE + _SIZE.unpack_from(buffer, start + _SIZE_AT)[0] + FRAME_END_SIZE
        if stop > len(buffer):
            return 0
        size, frame = decode_frame(buffer[start:stop])
        self.bytes_received += size
        if frame:
            self._process_frame(frame)
        return stop

    def _process_callbacks(self, frame_value: Any) -> bool:
        """Look for callbacks only where there may be some: deliveries go to their channel."""
        if not isinstance(frame_value, Method) or isinstance(frame_value.method, Basic.Deliver):
            return False
        return bool(super()._process_callbacks(frame_value))


class WritingConnection(Connection):
    """Writes what a block of code publishes at once: pika writes each frame by itself, and a message is three."""

    _collected: list[bytes] | None = None

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep frames until the end of the block."""
        self._collected = []
        try:
            yield
        finally:
            frames, self._collected = self._collected, None
            if frames and self.is_open:
                super()._adapter_emit_data(b"".join(frames))

    def abort(self) -> None:
        """Lose the connection, and what is not written to it yet."""
        self._terminate_stream(ConnectionAbortedError("what was sent over it was not confirmed in time"))

    def _adapter_emit_data(self, data: bytes) -> None:
        if self._collected is None:
            super()._adapter_emit_data(data)
        else:
            self._collected.append(data)
