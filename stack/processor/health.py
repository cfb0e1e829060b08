"""Pages on ports of their own, such as `/ready`, served by the supervisor's loop."""

import selectors
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from stack.processor.attributes import ConfigurationError

_BACKLOG = 64
_REQUEST_LIMIT = 8192
_REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class Page(NamedTuple):
    """What is answered to a request."""

    status: int
    content_type: str
    body: bytes


Pages = Mapping[bytes, Callable[[], Page]]


class PageServer:
    """Answers one request for each connection with the page of its target, or else of its path; waits for no client."""

    def __init__(self, port: int, pages: Pages) -> None:
        try:
            self._listener = socket.create_server(("", port), backlog=_BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"the port {port} of {_name(pages)} cannot be listened on: {error}") from None
        self._listener.setblocking(False)
        self._pages = pages
        self._requests: dict[socket.socket, bytes] = {}

    def register(self, selector: selectors.BaseSelector) -> None:
        """Serve from a loop that calls the data of each key that is ready."""
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Close every socket."""
        for connection in (self._listener, *self._requests):
            connection.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._requests) >= _BACKLOG:
            self._drop(next(iter(self._requests)))
        self._requests[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ, partial(self._read, connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(_REQUEST_LIMIT)
        except OSError:
            data = b""
        request = self._requests[connection] = self._requests[connection] + data
        if b"\r\n\r\n" in request:
            self._selector.unregister(connection)
            self._selector.register(connection, selectors.EVENT_WRITE, partial(self._write, connection))
            self._requests[connection] = self._answer(request)
            self._write(connection)
        elif not data or len(request) > _REQUEST_LIMIT:
            self._drop(connection)

    def _write(self, connection: socket.socket) -> None:
        """Write what is left of the answer, and close the connection after the last of it."""
        answer = self._requests[connection]
        try:
            answer = self._requests[connection] = answer[connection.send(answer) :]
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        if not answer:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._requests[connection]
        connection.close()

    def _answer(self, request: bytes) -> bytes:
        target = request.split(b" ", 2)[1] if request.count(b" ") >= 2 else b""
        make = self._pages.get(target) or self._pages.get(target.partition(b"?")[0])
        page = make() if make else Page(404, "application/json", b"{}")
        head = (
            f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + page.body


def _name(pages: Pages) -> str:
    return ", ".join(path.decode() for path in pages)
