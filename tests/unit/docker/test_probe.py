"""Short questions, asked of real sockets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stack.docker.container import ask
from tests.ports import free_port


@contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """Answer one question, in pieces, and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server, pieces))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/ready"
        thread.join()


def _answer(server: socket.socket, pieces: tuple[bytes, ...]) -> None:
    connection, _ = server.accept()
    with connection:
        assert connection.recv(4096).startswith(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:")
        for piece in pieces:
            connection.sendall(piece)


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n{}",), 200, b"{}"),
        ((b"HTTP/1.0 503 Service", b" Unavailable\r\na: b\r\n", b"\r\nno", b"t yet"), 503, b"not yet"),
        ((b"HTTP/1.1 204\r\n\r\n",), 204, b""),
    ],
)
def test_answer_is_read_to_its_end(pieces: tuple[bytes, ...], status: int, body: bytes) -> None:
    with answering(*pieces) as url:
        answer = ask(url, 60)
    assert (answer.status, answer.data) == (status, body)


@pytest.mark.parametrize("piece", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 yes\r\n\r\n"])
def test_what_does_not_speak_http(piece: bytes) -> None:
    with answering(piece) as url, pytest.raises(OSError):
        ask(url, 5)


def test_no_one() -> None:
    with pytest.raises(OSError, match="refused"):
        ask(f"http://127.0.0.1:{free_port()}/ready", 5)


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError, match="timed out"):
        ask(f"http://127.0.0.1:{server.getsockname()[1]}/ready", 0.05)
