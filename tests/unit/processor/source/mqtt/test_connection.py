"""The connection of a session: in what pieces the bytes go, what of them is a message, and that paho takes it."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from stack.processor.source.mqtt.connection import BufferedClient, Connection, Publish

Pair = tuple[Connection, socket.socket]

PINGRESP = b"\xd0\x00"
# The kind, how long the rest is, the topic "t", the packet id 258 where there is one, and the payload.
QOS_0, QOS_1, QOS_2 = b"\x31\x04\x00\x01tx", b"\x3a\x06\x00\x01t\x01\x02x", b"\x34\x06\x00\x01t\x01\x02x"


@pytest.fixture
def pair() -> Iterator[Pair]:
    own, other = socket.socketpair()
    own.setblocking(False)
    with own, other:
        yield Connection(own, has_properties=False), other


def test_messages_are_read_however_they_come(pair: Pair) -> None:
    connection, other = pair
    found, data = [], QOS_0 + QOS_1
    for byte in data:
        other.sendall(bytes([byte]))
        if connection.receive():
            found.append(connection.take_publish())
    assert found == [Publish(b"t", b"x", 0, 0, True, False, {}), Publish(b"t", b"x", 258, 1, False, True, {})]
    assert not connection.has_packet()


def test_messages_that_come_together_are_taken_one_by_one(pair: Pair) -> None:
    connection, other = pair
    payload = bytes(300_000)
    large = b"\x30" + b"\xe3\xa7\x12" + b"\x00\x01t" + payload
    other.sendall(QOS_1)
    other.setblocking(False)
    unsent = bytearray(large + QOS_1)
    while unsent:
        del unsent[: other.send(unsent)]
        connection.receive()
    sizes: list[int] = []
    while len(sizes) < 3:
        if connection.has_packet() or connection.receive():
            publish = connection.take_publish()
            assert publish
            sizes.append(len(publish.payload))
    assert sizes == [1, 300_000, 1]


@pytest.mark.parametrize("packet", [PINGRESP, QOS_2, b"\x32\x02\x00\x09", b"\x30\x03\x00\x00x", b"\x32\x01x"])
def test_all_else_is_left_to_paho(pair: Pair, packet: bytes) -> None:
    connection, other = pair
    other.sendall(packet + QOS_1)
    assert connection.receive()
    assert connection.take_publish() is None
    assert b"".join(connection.recv(1) for _ in packet) == packet
    with pytest.raises(BlockingIOError):
        connection.recv(1)
    assert connection.has_packet()
    assert connection.take_publish()


@pytest.mark.parametrize("data", [b"", QOS_1[:5], QOS_1])
def test_paho_hears_of_the_end(pair: Pair, data: bytes) -> None:
    connection, other = pair
    other.sendall(data)
    other.close()
    connection.receive()
    assert connection.receive()
    assert bool(connection.take_publish()) == (data == QOS_1)
    assert not data or data == QOS_1 or connection.recv(9) == data
    assert connection.recv(1) == b""


def test_a_length_that_cannot_be_is_left_to_paho(pair: Pair) -> None:
    connection, other = pair
    other.sendall(b"\x30\xff\xff\xff\xff\x01")
    assert connection.receive()
    assert connection.take_publish() is None


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read(data: bytes, has_properties: bool) -> None:
    own, other = socket.socketpair()
    with own, other:
        own.setblocking(False)
        connection = Connection(own, has_properties=has_properties)
        other.sendall(b"\x32" + data)
        if connection.receive():
            connection.take_publish()


def test_what_is_written_is_sent_together(pair: Pair) -> None:
    connection, other = pair
    assert connection.send(PINGRESP) == 2
    connection.acknowledge(258)
    assert connection.flush()
    assert other.recv(9) == PINGRESP + b"\x40\x02\x01\x02"


def test_what_the_kernel_does_not_take_waits(pair: Pair) -> None:
    connection, other = pair
    sent = bytes(range(256)) * 8192
    connection.send(sent)
    found = bytearray()
    assert not connection.flush()
    while len(found) < len(sent):
        found += other.recv(65536)
        connection.flush()
    assert connection.flush()
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
    assert not connection.flush()
    assert connection.receive()
    assert connection.recv(1) == b""


def test_paho_takes_the_connection() -> None:
    client = BufferedClient(CallbackAPIVersion.VERSION2)
    client.on_socket_register_write = lambda *_: None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client.connect("127.0.0.1", listener.getsockname()[1])
        connection = client.socket()
        assert isinstance(connection, Connection)
        client.loop_write()
        assert connection.flush()
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(9).startswith(b"\x10")
        connection.close()
