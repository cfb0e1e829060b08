"""Being known to the stack's gateway, which sends a function's requests to whoever says that they take them.

So the gateway has to ask nobody how they are, a container is known at the moment at which it is ready, and no request
meets a door that closes. The gateway's side of it is templates/gateway/presence.lua.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

# Holds the gateway's host and port; where it is not set there is no gateway.
VARIABLE = "TIDEGATE_GATEWAY"
# Seconds between two signs of life; before a gateway that hung up, or has no seat, is asked again; between looks
# whether a worker is ready.
_BEAT, _AGAIN, _LOOK = 1.0, 0.1, 0.02
# Seconds that the gateway may take to answer, and to let a processor go that has to stop.
_PATIENCE, _FAREWELL = 5.0, 0.5
# What the gateway says: seated; or not known, which only another process can change, for which this one hangs up.
# Whatever else it says is that no seat is free, as one may be at any moment.
_SEATED, _UNKNOWN = 200, 404

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Presence:
    """The processor's side; lives in the event loop of the HTTP source."""

    def __init__(self, address: str, function: str, is_served: Callable[[], bool]) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._who = f"{function}/{socket.gethostname()}"
        self._is_served = is_served
        self._is_known = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Be present from the moment on at which a worker takes requests."""
        self._task = asyncio.get_running_loop().create_task(self._stay())

    async def leave(self) -> None:
        """Ask for no further requests; return when none will come, or the gateway does not answer."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._is_known:
            with suppress(OSError, EOFError, TimeoutError, ValueError):
                async with asyncio.timeout(_FAREWELL):
                    await self._say_goodbye()

    async def _stay(self) -> None:
        while not self._is_served():
            await asyncio.sleep(_LOOK)
        while True:
            with suppress(OSError, EOFError, TimeoutError, ValueError):
                await self._visit()
            await asyncio.sleep(_AGAIN)

    async def _visit(self) -> None:
        """Give signs of life on one connection until the gateway hangs up, such as to hand over to another process.

        A new connection for each would leave the machine as many to remember for two minutes, and Docker looks through
        all of them whenever a container starts.

        Raises:
            OSError: nobody is there.
            ValueError: the answer is not HTTP.
        """
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            while True:
                async with asyncio.timeout(_PATIENCE):
                    status = await self._say(f"/here/{self._who}", reader, writer)
                self._is_known = self._is_known or status == _SEATED
                # Nothing comes unasked but the end.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT if status in (_SEATED, _UNKNOWN) else _AGAIN):
                        await reader.read(1)
                    return
        finally:
            writer.close()

    async def _say_goodbye(self) -> None:
        """Say it on a connection of its own: the other may lead to a gateway that has handed over to the next."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            await self._say(f"/bye/{self._who}", reader, writer)
        finally:
            writer.close()

    async def _say(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        _, status, _ = head.split(maxsplit=2)
        return int(status)


def open_presence(function: str, is_served: Callable[[], bool]) -> Presence | None:
    """Return the presence of a function where there is a gateway; `is_served` tells whether a worker is ready."""
    address = os.environ.get(VARIABLE, "")
    return Presence(address, function, is_served) if address else None
