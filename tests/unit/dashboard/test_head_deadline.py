"""A client that never ends the head of its request loses its connection; others are answered, however long it takes."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from stack.dashboard.security.head_deadline import HeadDeadline

# A busy machine may keep a client from sending for a while.
SECONDS = 2.0
REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
_PATIENCE = 20.0


async def answer_late(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer after more time than a head may take."""
    if scope["type"] == "http":
        await asyncio.sleep(1.2 * SECONDS)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server."""
    app = HeadDeadline(answer_late, SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=app.protocol, log_level="warning", lifespan="off", proxy_headers=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield int(listener.getsockname()[1])
        server.should_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)


@pytest.mark.parametrize("begun", [b"", b"G", REQUEST[:-2]])
def test_connection_without_a_whole_head_is_closed(port: int, begun: bytes) -> None:
    with connect(port) as client:
        client.sendall(begun)
        assert client.recv(100) == b""


def test_client_that_dawdles_is_cut_off(port: int) -> None:
    """A byte now and then gives no more time."""
    with connect(port) as client, pytest.raises(ConnectionError):
        client.settimeout(SECONDS / 10)
        client.sendall(REQUEST[:-2])
        for _ in range(int(_PATIENCE / SECONDS * 10)):
            client.sendall(b"X: y\r\n")
            try:
                if not client.recv(100):
                    raise ConnectionError
            except TimeoutError:
                continue


def test_late_answers_come_and_the_connection_is_kept(port: int) -> None:
    with connect(port) as client:
        for _ in range(2):
            client.sendall(REQUEST)
            assert receive_answer(client).endswith(b"ok")
        client.sendall(REQUEST[:-2])
        assert client.recv(100) == b""


def receive_answer(client: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"ok"):
        block = client.recv(1000)
        assert block, received
        received += block
    return received
