"""A deadline for the head of a request, which uvicorn has none of: a slow client would keep a connection for ever."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

# Far more than a browser takes, whose idle connections uvicorn ends after 5 s by itself.
SECONDS = 30.0

_Address = tuple[str, int]


class HeadDeadline:
    """Closes a connection on which no request comes about in time: the application is called once the head is there.

    It stands around the application, and gives uvicorn the protocol by which it sees connections.
    """

    def __init__(self, app: ASGIApp, seconds: float = SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._connections: dict[_Address, _Connection] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        connection = self._connections.get(tuple(scope.get("client") or ())[:2])
        if connection is None:
            await self._app(scope, receive, send)
            return
        connection.begin_request()
        try:
            await self._app(scope, receive, send)
        finally:
            connection.end_request()

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """Return what uvicorn's argument `http` takes."""
        seconds, known = self._seconds, self._connections

        class Protocol(_Connection):
            def __init__(self, **options: Any) -> None:
                super().__init__(AutoHTTPProtocol(**options), seconds, known)

        return Protocol


class _Connection(asyncio.Protocol):
    """Passes on what uvicorn's own protocol is told, and has a timer run while no request is being answered."""

    def __init__(self, inner: asyncio.Protocol, seconds: float, known: "dict[_Address, _Connection]") -> None:
        self._inner = inner
        self._seconds = seconds
        self._known = known
        self._requests = 0
        self._close: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._address = _find_address(transport)
        self._known[self._address] = self
        self._close = transport.close
        self._start()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop()
        self._known.pop(self._address, None)
        self._inner.connection_lost(error)

    def begin_request(self) -> None:
        """Wait for as long as the application takes."""
        self._requests += 1
        self._stop()

    def end_request(self) -> None:
        """Wait for the next request."""
        self._requests -= 1
        if not self._requests and self._address in self._known:
            self._start()

    def _start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._close)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None


def _find_address(transport: asyncio.BaseTransport) -> _Address:
    """Return a client's address and port, which are also in the scope of its requests."""
    host, port = transport.get_extra_info("peername")[:2]
    return str(host), int(port)
