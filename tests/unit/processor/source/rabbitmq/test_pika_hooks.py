"""What the processor's connection takes over from pika, and what it relies on there."""

import hashlib
import inspect
from typing import Any

import pika.connection
import pytest
from pika import BasicProperties, frame, spec

from stack.processor.source.rabbitmq.connection import Connection
from stack.processor.source.rabbitmq.properties import Properties

# pika's own methods that `Connection` stands in for or calls, by their texts.
_HOOKS = {
    "_on_data_available": "4745dcc9c29e66ea",
    "_process_callbacks": "ab2d39c4ba4f0c44",
    "_process_frame": "eabaea15bfa60b8a",
    "_read_frame": "6195b377e621f28d",
    "_trim_frame_buffer": "13f296ffa75899aa",
}
_DELIVERY = b"".join(
    one.marshal()
    for one in (
        frame.Method(1, spec.Basic.Deliver("tag", 1, False, "exchange", "key")),
        frame.Header(1, 4, BasicProperties(content_type="text/plain", headers={"a": 1})),
        frame.Body(1, b"body"),
    )
)


class _Open(Connection):
    """A connection that is open, to nothing, and keeps the frames that it reads."""

    is_open = True

    def __init__(self) -> None:
        self._frame_buffer = b""
        self.bytes_received = 0
        self.frames: list[Any] = []

    def _process_frame(self, frame_value: Any) -> None:
        self.frames.append(frame_value)


@pytest.mark.parametrize("name", _HOOKS)
def test_pika_is_as_it_was(name: str) -> None:
    text = inspect.getsource(getattr(pika.connection.Connection, name))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest == _HOOKS[name], f"pika has changed {name}: compare it with Connection, then note the new digest"


@pytest.mark.parametrize("size", [1, 7, 8, 20, len(_DELIVERY), 3 * len(_DELIVERY)])
def test_frames_are_read_however_they_come(size: int) -> None:
    connection = _Open()
    data = _DELIVERY * 3
    for start in range(0, len(data), size):
        connection._on_data_available(data[start : start + size])
    assert [type(one) for one in connection.frames] == [frame.Method, frame.Header, frame.Body] * 3
    assert connection.bytes_received == len(data)
    assert connection.frames[1].properties.headers == {"a": 1}


def test_pika_reads_properties_as_the_processor_does() -> None:
    assert spec.props[BasicProperties.INDEX] is Properties
    _, header = frame.decode_frame(frame.Header(1, 4, BasicProperties(headers={"a": 1})).marshal())
    assert isinstance(header, frame.Header)
    assert isinstance(header.properties, Properties)
