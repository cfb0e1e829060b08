"""Properties of MQTT 5, also those that would end paho's connection."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.processor.source.mqtt.connection import read_properties


def read(properties: bytes) -> dict[str, Any]:
    found, length = read_properties(len(properties).to_bytes(1) + properties + b"payload")
    assert length == len(properties) + 1
    return found


def text(content: bytes) -> bytes:
    return len(content).to_bytes(2) + content


def test_all_that_a_message_may_have_is_read() -> None:
    made: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    values = {
        "PayloadFormatIndicator": 1, "MessageExpiryInterval": 70, "ContentType": "text/csv", "ResponseTopic": "reply",
        "CorrelationData": b"\xff", "TopicAlias": 5, "UserProperty": [("unit", "C"), ("unit", "K")],
    }  # fmt: skip
    for name, value in values.items():
        setattr(made, name, value)
    assert read_properties(made.pack()) == (values, len(made.pack()))


@pytest.mark.parametrize("odd", [b"nul\0", b"\xff", b"\xed\xa0\x80", "\ufeff".encode()])
def test_texts_that_mqtt_forbids_end_nothing(odd: bytes) -> None:
    found = read(b"\x26" + text(b"name") + text(odd) + b"\x03" + text(odd))
    ((name, value),) = found["UserProperty"]
    content_type = found["ContentType"]
    assert name == "name"
    assert (value if isinstance(value, bytes) else value.encode()) == odd
    assert (content_type if isinstance(content_type, bytes) else content_type.encode()) == odd


@given(st.binary(max_size=120))
def test_any_bytes_are_read(properties: bytes) -> None:
    read(properties)


def test_what_comes_behind_something_unknown_is_passed_over() -> None:
    assert read(b"\x7f\x01" + b"\x26" + text(b"a") + text(b"b")) == {}
    assert read_properties(b"\xff") == ({}, 1)
    assert read_properties(b"") == ({}, 0)
