"""Properties of MQTT 5 that would end the connection, read by the paho that is pinned."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.processor.source.mqtt.client import read_leniently, unpack


@pytest.fixture(autouse=True, scope="module")
def _lenient() -> Any:
    kept = Properties.unpack
    read_leniently()
    yield
    Properties.unpack = kept  # type: ignore[method-assign]


def read(properties: bytes) -> Any:
    """Read properties as paho does with those of a message."""
    made: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    size = len(properties).to_bytes(1)
    _, length = made.unpack(size + properties + b"payload")
    assert length == len(properties) + 1
    return made


def text(content: bytes) -> bytes:
    return len(content).to_bytes(2) + content


def test_all_that_a_message_may_have_is_read() -> None:
    made: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    made.PayloadFormatIndicator, made.MessageExpiryInterval, made.ContentType = 1, 70, "text/csv"
    made.ResponseTopic, made.CorrelationData, made.TopicAlias = "reply", b"\xff", 5
    made.UserProperty = [("unit", "C"), ("unit", "K")]
    again: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    packed = made.pack()
    unpack(again, packed)
    assert again.pack() == packed
    assert (again.UserProperty, again.ContentType) == ([("unit", "C"), ("unit", "K")], "text/csv")


@pytest.mark.parametrize("odd", [b"nul\0", b"\xff", b"\xed\xa0\x80", "\ufeff".encode()])
def test_texts_that_mqtt_forbids_end_nothing(odd: bytes) -> None:
    found = read(b"\x26" + text(b"name") + text(odd) + b"\x03" + text(odd))
    ((name, value),) = found.UserProperty
    assert name == "name"
    assert (value if isinstance(value, bytes) else value.encode()) == odd
    assert (found.ContentType if isinstance(found.ContentType, bytes) else found.ContentType.encode()) == odd


@given(st.binary(max_size=120))
def test_any_bytes_are_read(properties: bytes) -> None:
    read(properties)


def test_what_comes_behind_something_unknown_is_passed_over() -> None:
    assert not hasattr(read(b"\x7f\x01" + b"\x26" + text(b"a") + text(b"b")), "UserProperty")
    assert unpack(Properties(PacketTypes.PUBLISH), b"\xff")[1] == 1  # type: ignore[no-untyped-call]
    assert unpack(Properties(PacketTypes.PUBLISH), b"")[1] == 0  # type: ignore[no-untyped-call]
