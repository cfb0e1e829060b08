"""One HTTP request on its way through a worker, and its response as bytes."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from stack.processor.delivery import Failure
from stack.processor.message import HttpMessage
from stack.processor.response import Response

if TYPE_CHECKING:
    from stack.processor.source.http.connection import HttpConnection

# Bytes of a stream that may wait for the I/O thread.
_AHEAD = 256 * 1024


class Begin(NamedTuple):
    """The head of a streamed response, with its first piece."""

    response: Response


class Piece(NamedTuple):
    """A piece of a streamed response."""

    data: bytes


class End(NamedTuple):
    """The end of a streamed response; one that failed is cut off."""

    is_whole: bool


Outcome = Response | Begin | Piece | End


class HttpDelivery:
    """One request; `answer` is the processor's own, where it has one, and `origin` the page that asked, under CORS.

    `claim`, `done`, `failed`, `begin`, `send`, `end` and `is_full` are for the worker's thread.
    """

    __slots__ = (
        "_sent",
        "answer",
        "connection",
        "deadline",
        "is_begun",
        "is_gone",
        "is_head",
        "is_old",
        "keep_alive",
        "message",
        "origin",
        "pool_index",
        "written",
    )

    def __init__(self, connection: "HttpConnection", message: HttpMessage, *, keep_alive: bool, is_old: bool) -> None:
        self.connection = connection
        self.message = message
        self.keep_alive = keep_alive
        self.is_old = is_old
        self.is_head = message.method == b"HEAD"
        self.is_gone = False
        self.is_begun = False
        self.answer: Response | None = None
        self.origin = ""
        self.deadline = float("inf")
        self.written = 0
        self._sent = 0

    def claim(self) -> bool:
        """Return whether it still waits for a worker, and has not been answered meanwhile."""
        return self.connection.source.waiting.pop(self, None) is not None

    def hold(self) -> None:
        """Note nothing: no one delivers it again."""

    def done(self, response: Response) -> None:
        """Answer the request."""
        self.connection.source.settle(self, response)

    def failed(self, response: Response, failure: Failure) -> None:
        """Answer the request; the client is told, and nothing else is left to do."""
        self.connection.source.settle(self, response)

    @property
    def is_full(self) -> bool:
        """Return whether the client has not read enough yet."""
        return self.connection.is_blocked or self._sent - self.written > _AHEAD

    def begin(self, response: Response) -> None:
        """Send the head of a stream and its first piece."""
        self._settle_now(Begin(response))

    def send(self, piece: bytes) -> None:
        """Send a piece of a stream."""
        self._sent += len(piece)
        self._settle_now(Piece(piece))

    def end(self, failure: Failure | None) -> None:
        """Say that the stream has ended."""
        self._settle_now(End(failure is None))

    def _settle_now(self, outcome: Outcome) -> None:
        self.connection.source.settle(self, outcome)
        self.connection.source.flush()


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Statuses whose responses have no body.
BODILESS = frozenset((*range(100, 200), 204, 304))
LAST_CHUNK = b"0\r\n\r\n"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
# These the server decides on; a handler's own would contradict them.
_RESERVED = frozenset(("connection", "content-length", "content-type", "date", "server", "transfer-encoding"))
# A line end in a header would begin another header.
_LINE_ENDS = str.maketrans("\r\n\0", "   ")


class ResponseWriter:
    """Writes responses; keeps what is the same for a second's worth of them."""

    def __init__(self) -> None:
        self._common = b""
        self._ok = b""

    def set_time(self, now: float) -> None:
        """Set the time that responses show, in seconds since the epoch."""
        self._common = f"Server: nuclio\r\nDate: {formatdate(now, usegmt=True)}\r\n".encode()
        self._ok = _STATUS_LINES[200] + self._common

    def write(self, response: Response, *, keep_alive: bool, old_client: bool, body_allowed: bool) -> bytes:
        """Return a whole response; `old_client` speaks HTTP/1.0, and no body is allowed to a HEAD request."""
        status, content_type, body, _ = response
        start = self._write_start(response, keep_alive=keep_alive, old_client=old_client)
        if status in BODILESS:
            return start + b"\r\n"
        head = b"%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (start, _clean(content_type), len(body))
        return head + body if body_allowed else head

    def write_head(self, response: Response, *, keep_alive: bool, is_chunked: bool) -> bytes:
        """Return the head of a response whose body comes in chunks, or else until the connection ends."""
        start = self._write_start(response, keep_alive=keep_alive, old_client=False)
        encoding = b"Transfer-Encoding: chunked\r\n" if is_chunked else b""
        return b"%bContent-Type: %b\r\n%b\r\n" % (start, _clean(response.content_type), encoding)

    def _write_start(self, response: Response, *, keep_alive: bool, old_client: bool) -> bytes:
        start = self._ok if response.status == 200 else _write_status(response.status) + self._common
        if not keep_alive:
            start += b"Connection: close\r\n"
        elif old_client:
            start += b"Connection: keep-alive\r\n"
        return start + _write_headers(response.headers) if response.headers else start


def write_chunk(piece: bytes) -> bytes:
    """Return a piece, which is not empty, of a body whose length no one knows yet."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _write_status(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


def _write_headers(headers: Mapping[str, str]) -> bytes:
    lines = [b"%b: %b\r\n" % (_clean(name), _clean(value)) for name, value in headers.items() if _is_free(name)]
    return b"".join(lines)


def _is_free(name: str) -> bool:
    return name.lower() not in _RESERVED and bool(name) and not any(sign in name for sign in " \r\n\0:")


@lru_cache(maxsize=128)
def _clean(text: str) -> bytes:
    return text.translate(_LINE_ENDS).encode() if not text.isalnum() else text.encode()
