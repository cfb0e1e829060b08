"""What the processor's connection takes over from pika, and what it relies on there."""

import hashlib
import inspect
from typing import Any

import pika.channel
import pika.connection
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec
from pika.exceptions import InvalidFrameError

from stack.processor.source.rabbitmq import connection as connection_module
from stack.processor.source.rabbitmq.connection import Connection
from stack.processor.source.rabbitmq.delivered import read_delivered
from stack.processor.source.rabbitmq.properties import Properties

# pika's own methods that `Connection` stands in for, calls or passes by, by their texts.
_HOOKS = {
    (pika.connection.Connection, "_deliver_frame_to_channel"): "752e7d482f0203fe",
    (pika.connection.Connection, "_on_data_available"): "4745dcc9c29e66ea",
    (pika.connection.Connection, "_process_callbacks"): "ab2d39c4ba4f0c44",
    (pika.connection.Connection, "_process_frame"): "eabaea15bfa60b8a",
    (pika.connection.Connection, "_read_frame"): "6195b377e621f28d",
    (pika.connection.Connection, "_trim_frame_buffer"): "13f296ffa75899aa",
    (pika.channel.Channel, "_handle_content_frame"): "8d84826688498a60",
    (pika.channel.Channel, "_on_deliver"): "7d70f97a641d8e0d",
    (pika.channel.ContentFrameAssembler, "process"): "0873dec71f06f5d3",
}
# A message as a test sees it.
_Seen = tuple[spec.Basic.Deliver, Properties, bytes]


class _Open(Connection):
    """A connection that is open, to nothing, with one channel of pika's, which keeps what it delivers."""

    is_open = True
    _heartbeat_checker = None

    def __init__(self) -> None:
        self._frame_buffer = b""
        self.bytes_received = self.frames_received = 0
        self.messages: list[_Seen] = []
        channel = pika.channel.Channel.__new__(pika.channel.Channel)
        channel._content_assembler = pika.channel.ContentFrameAssembler()
        channel._cancelled = set()
        channel._consumers = {"tag": lambda _channel, *message: self.messages.append(message)}
        self._channels = {1: channel}

    def __repr__(self) -> str:
        return "a connection"

    def feed(self, data: bytes, size: int) -> None:
        """Read data that comes in pieces."""
        for start in range(0, len(data), size):
            self._on_data_available(data[start : start + size])


def write(body: bytes = b"body", *, key: str = "key", channel: int = 1, piece: int = 100, **properties: Any) -> bytes:
    """Return a message as a broker sends it, its body in pieces."""
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)]
    frames = (
        frame.Method(channel, spec.Basic.Deliver("tag", 2**40, True, "exchange", key)),
        frame.Header(channel, len(body), BasicProperties(**properties)),
        *(frame.Body(channel, one) for one in pieces),
    )
    return b"".join(one.marshal() for one in frames)


_DELIVERY = write(content_type="text/plain", headers={"a": 1})


@pytest.mark.parametrize(("owner", "name"), _HOOKS)
def test_pika_is_as_it_was(owner: type, name: str) -> None:
    text = inspect.getsource(getattr(owner, name))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest == _HOOKS[owner, name], f"pika has changed {name}: compare it with ours, then note the new digest"


@pytest.mark.parametrize("size", [1, 7, 8, 20, len(_DELIVERY), 3 * len(_DELIVERY)])
def test_messages_are_read_however_they_come(size: int) -> None:
    connection = _Open()
    connection.feed(_DELIVERY * 3, size)
    assert connection.bytes_received == 3 * len(_DELIVERY)
    assert len(connection.messages) == 3
    for method, properties, body in connection.messages:
        assert (method.consumer_tag, method.delivery_tag, method.redelivered) == ("tag", 2**40, True)
        assert (method.exchange, method.routing_key) == ("exchange", "key")
        assert (str(properties.content_type), properties.headers, body) == ("text/plain", {"a": 1}, b"body")


@given(st.lists(st.tuples(st.binary(max_size=300), st.text(max_size=60)), max_size=5), st.integers(1, 400))
def test_messages_are_those_that_pika_reads(messages: list[tuple[bytes, str]], size: int) -> None:
    data = b"".join(write(body, key=key, message_id=key) for body, key in messages)
    ours, theirs = _Open(), _Open()
    ours.feed(data, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection_module, "read_delivered", lambda _buffer, _start: None)
        theirs.feed(data, size)
    assert [list(map(repr, one)) for one in ours.messages] == [list(map(repr, one)) for one in theirs.messages]
    assert [body for _, _, body in ours.messages] == [body for body, _ in messages]
    assert ours.bytes_received == theirs.bytes_received == len(data)


def test_a_whole_message_is_read_in_one_go() -> None:
    data = b"xyz" + _DELIVERY
    found = read_delivered(data + b"more", 3)
    assert found and (found.channel_number, found.body, found.stop) == (1, b"body", len(data))
    empty = read_delivered(write(b""), 0)
    assert empty and (empty.body, empty.stop) == (b"", len(write(b"")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _DELIVERY[:-1],
        write(b"x" * 201),
        frame.Heartbeat().marshal(),
        frame.Method(1, spec.Basic.Ack(1)).marshal() + _DELIVERY,
        _DELIVERY[:-1] + b"\x00",
        _DELIVERY.replace(b"\x03tag", b"\xfftag"),
        frame.Method(1, spec.Basic.Deliver("tag", 1, False, "exchange", "key")).marshal() + write(channel=2),
    ],
)
def test_all_else_is_left_to_pika(data: bytes) -> None:
    assert read_delivered(data, 0) is None


def test_a_frame_with_a_wrong_end_is_refused() -> None:
    with pytest.raises(InvalidFrameError):
        _Open().feed(_DELIVERY[:-1] + b"\x00", 1000)


def test_a_message_of_a_channel_that_is_gone_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    connection = _Open()
    connection.feed(write(channel=7) + _DELIVERY, 1000)
    assert len(connection.messages) == 1
    assert "unregistered channel 7" in caplog.text


def test_messages_are_read_no_more_once_one_has_ended_the_connection() -> None:
    connection = _Open()

    def end(*message: Any) -> None:
        connection.messages.append(message[1:])
        connection._frame_buffer = b""

    connection._channels[1]._consumers["tag"] = end
    connection.feed(_DELIVERY * 2, 1000)
    assert len(connection.messages) == 1


def test_pika_reads_properties_as_the_processor_does() -> None:
    assert spec.props[BasicProperties.INDEX] is Properties
    _, header = frame.decode_frame(frame.Header(1, 4, BasicProperties(headers={"a": 1})).marshal())
    assert isinstance(header, frame.Header)
    assert isinstance(header.properties, Properties)
