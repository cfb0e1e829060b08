"""`/ready` and `/live` on a port of their own, served by the supervisor's loop."""

import json
import selectors
import socket
from collections.abc import Callable
from functools import partial

from stack.processor.attributes import ConfigurationError

_BACKLOG = 64
_REQUEST_LIMIT = 8192
_REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class HealthServer:
    """Answers one request for each connection; never waits for a client.

    `find_trouble` returns why the function cannot handle events; nothing when it can.
    """

    def __init__(self, port: int, find_trouble: Callable[[], str]) -> None:
        try:
            self._listener = socket.create_server(("", port), backlog=_BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"the health port {port} cannot be listened on: {error}") from None
        self._listener.setblocking(False)
        self._find_trouble = find_trouble
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
            request = self._requests[connection] = self._requests[connection] + data
            if b"\r\n\r\n" in request:
                connection.send(self._answer(request))
        except OSError:
            data = b""
        if not data or b"\r\n\r\n" in request or len(request) > _REQUEST_LIMIT:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._requests[connection]
        connection.close()

    def _answer(self, request: bytes) -> bytes:
        path = request.split(b" ", 2)[1].partition(b"?")[0] if request.count(b" ") >= 2 else b""
        trouble = self._find_trouble() if path == b"/ready" else ""
        status = 404 if path not in (b"/ready", b"/live") else 503 if trouble else 200
        body = json.dumps({"error": trouble} if trouble else {}).encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body
