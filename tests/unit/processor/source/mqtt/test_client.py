"""The connection that paho reads and writes: in what pieces the bytes go, and that paho takes it."""

import socket
from collections.abc import Iterator

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from stack.processor.source.mqtt.client import BufferedClient, BufferedSocket

Pair = tuple[BufferedSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    own, other = socket.socketpair()
    own.setblocking(False)
    with own, other:
        yield BufferedSocket(own), other


def test_what_has_arrived_is_read_at_once(pair: Pair) -> None:
    connection, other = pair
    other.sendall(b"abcdef")
    assert (connection.recv(1), connection.pending()) == (b"a", 5)
    assert (connection.recv(3), connection.recv(9), connection.pending()) == (b"bcd", b"ef", 0)
    with pytest.raises(BlockingIOError):
        connection.recv(1)
    other.close()
    assert connection.recv(1) == b""


def test_what_is_written_is_sent_together(pair: Pair) -> None:
    connection, other = pair
    assert (connection.send(b"ab"), connection.send(b"cd"), connection.is_sent) == (2, 2, False)
    connection.flush()
    assert (connection.is_sent, other.recv(9)) == (True, b"abcd")


def test_what_the_kernel_does_not_take_waits(pair: Pair) -> None:
    connection, other = pair
    sent = bytes(range(256)) * 8192
    connection.send(sent)
    connection.flush()
    assert not connection.is_sent
    found = bytearray()
    while len(found) < len(sent):
        found += other.recv(65536)
        connection.flush()
    assert connection.is_sent
    assert found == sent


def test_what_was_written_is_sent_before_the_end(pair: Pair) -> None:
    connection, other = pair
    connection.send(b"bye")
    connection.close()
    assert (other.recv(9), other.recv(9)) == (b"bye", b"")


def test_a_lost_connection_shows_where_it_is_read(pair: Pair) -> None:
    connection, other = pair
    other.close()
    connection.send(b"a")
    connection.flush()
    assert connection.recv(1) == b""


def test_paho_takes_the_connection() -> None:
    client = BufferedClient(CallbackAPIVersion.VERSION2)
    client.on_socket_register_write = lambda *_: None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client.connect("127.0.0.1", listener.getsockname()[1])
        connection = client.socket()
        assert isinstance(connection, BufferedSocket)
        client.loop_write()
        assert not client.want_write()
        connection.flush()
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(9).startswith(b"\x10")
        connection.close()
