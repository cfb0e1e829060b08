"""Events, as they are built from any message."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nuclio_sdk import Event, TriggerInfo
from pika import BasicProperties

from stack.processor.event import decode_body, new_id, to_time
from stack.processor.message import AmqpMessage, HttpMessage, MqttMessage
from stack.processor.trigger.http import build_http
from stack.processor.trigger.mqtt import build_mqtt
from stack.processor.trigger.rabbitmq import build_amqp

TRIGGER = TriggerInfo("http", "web")


def http(target: bytes = b"/", *headers: tuple[bytes, bytes], body: bytes = b"") -> HttpMessage:
    return HttpMessage(b"POST", target, list(headers), body, 1_700_000_000.5)


def test_ids_are_random_uuids() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(UUID(id_).version == 4 and str(UUID(id_)) == id_ for id_ in ids)


def test_time_is_naive_utc() -> None:
    assert to_time(1_700_000_000) == datetime(2023, 11, 14, 22, 13, 20)
    assert to_time(10**30) == datetime(1, 1, 1)


def test_event_shows_itself_as_json() -> None:
    event = build_http(http(b"/a", (b"content-type", b"text/plain"), body=b"\xff"), TRIGGER)
    shown = json.loads(event.to_json())
    assert (shown["path"], shown["timestamp"], shown["body"]) == ("/a", "2023-11-14 22:13:20", "/w==")
    assert event.get_header("CONTENT-TYPE") == "text/plain"


def test_header_names_are_as_nuclio_writes_them() -> None:
    event = build_http(http(b"/", (b"x-sensor-ID", b"1"), (b"ETag", b"e"), (b"x-sensor-id", b"2")), TRIGGER)
    assert event.headers == {"X-Sensor-Id": "2", "Etag": "e"}


@pytest.mark.parametrize(
    ("target", "path", "fields"),
    [
        (b"/", "/", {}),
        (b"/a?x=%20y&z", "/a", {"x": " y", "z": ""}),
        (b"*", "/*", {}),
        (b"/..", "/", {}),
        (b"/a/../../b/.", "/b/", {}),
        (b"https://host:1/", "/", {}),
        (b"https://host", "/", {}),
        (b"/\xff", "/\ufffd", {}),
        (b"/x?url=http://h/p?q", "/x", {"url": "http://h/p?q"}),
    ],
)
def test_target_is_split(target: bytes, path: str, fields: dict[str, str]) -> None:
    event = build_http(http(target), TRIGGER)
    assert (event.path, event.fields) == (path, fields)


@given(st.binary(max_size=40), st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9))), st.binary())
def test_no_request_does_more_than_have_a_bad_header(
    target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    try:
        event = build_http(http(target, *headers, body=body), TRIGGER)
    except UnicodeDecodeError:
        return
    assert event.path.startswith("/")
    assert ".." not in event.path.split("/")
    assert event.size == len(body)


@given(st.binary())
def test_no_body_breaks_the_decoder(body: bytes) -> None:
    decoded = decode_body(body, "application/json")
    assert decoded == body or json.dumps(decoded)


def test_body_nested_too_deep_stays_bytes() -> None:
    body = b"[" * 200_000
    assert decode_body(body, "application/json") == body


properties = st.builds(
    BasicProperties,
    content_type=st.none() | st.text(),
    headers=st.none() | st.dictionaries(st.text(), st.text() | st.integers() | st.none()),
    message_id=st.none() | st.text(),
    timestamp=st.none() | st.integers(0, 2**63),
    type=st.none() | st.text(),
    reply_to=st.none() | st.text(),
)


@given(st.text(), st.text(), properties, st.binary())
def test_no_amqp_message_breaks_the_builder(exchange: str, key: str, properties: Any, body: bytes) -> None:
    message = AmqpMessage(exchange, key, properties, body)
    for event in (build_amqp(message, TRIGGER), build_mqtt(message, TRIGGER, "url")):
        assert isinstance(event, Event)
        assert event.id
        assert isinstance(event.headers, dict)
        assert json.loads(event.to_json())["size"] == len(body)


def test_mqtt_event_carries_its_packet_id() -> None:
    message = MqttMessage("a/b", b"1", 7, {"x-mqtt-retain": True}, "", 1_700_000_000.0)
    event = build_mqtt(message, TRIGGER, "h:1883")
    assert (event.id, event.topic, event.path, event.url) == ("7", "a/b", "a/b", "h:1883")
    assert (event.body, event.headers) == (b"1", {"x-mqtt-retain": True})
