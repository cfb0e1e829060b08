"""Responses as bytes of HTTP/1.1."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from stack.processor.response import Response

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
