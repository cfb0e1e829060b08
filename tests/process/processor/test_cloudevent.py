"""CloudEvents in both modes, and events whose texts stay bytes."""

import ast
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nuclio_sdk import Event, TriggerInfo
from pika import BasicProperties

from stack.processor.message import AmqpMessage, HttpMessage
from stack.processor.trigger.http import build_http
from stack.processor.trigger.rabbitmq import build_amqp
from tests.process.processor.conftest import Start

TRIGGER = TriggerInfo("http", "web")
OLD = {
    "eventType": "reading",
    "eventTypeVersion": "1",
    "cloudEventsVersion": "0.1",
    "source": "/sensors/7",
    "eventID": "e-1",
    "eventTime": "2026-01-31T10:00:00+01:00",
    "contentType": "text/plain",
    "extensions": {"room": "kitchen"},
    "data": "warm",
}
NEW = {
    "specversion": "1.0",
    "type": "reading",
    "source": "/sensors/7",
    "id": "e-1",
    "time": "2026-01-31T09:00:00Z",
    "datacontenttype": "application/json",
    "room": "kitchen",
    "data": {"degrees": 21},
}


def build(body: object, *headers: tuple[bytes, bytes]) -> Event:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return build_http(HttpMessage(b"POST", b"/in?a=1", list(headers), data, 1_700_000_000.0), TRIGGER)


def structured(body: object, content_type: bytes = b"application/cloudevents+json; charset=utf-8") -> Event:
    return build(body, (b"content-type", content_type))


def check_envelope(event: Event, version: str) -> None:
    assert (event.id, event.type, event.version) == ("e-1", "reading", version)
    assert (event.trigger.kind, event.trigger.name) == ("/sensors/7", "/sensors/7")
    assert event.timestamp == datetime(2026, 1, 31, 9)
    assert (event.path, event.method, event.fields) == ("/in", "POST", {"a": "1"})


def test_structured_in_nuclios_version() -> None:
    event = structured(OLD)
    check_envelope(event, "0.1")
    assert (event.body, event.content_type, event.type_version) == (b"warm", "text/plain", "1")
    assert event.headers == {"room": "kitchen"}


def test_structured_in_todays_version() -> None:
    event = structured(NEW)
    check_envelope(event, "1.0")
    assert (event.body, event.content_type) == ({"degrees": 21}, "application/json")
    assert event.headers == {"room": "kitchen"}
    assert structured({**NEW, "data_base64": "AP8="}).body == b"\x00\xff"
    assert structured({**OLD, "contentType": "application/json", "data": '{"a": 1}'}).body == {"a": 1}
    assert structured({"id": "x"}).body == b""


@pytest.mark.parametrize(
    "headers",
    [
        ("CE-CloudEventsVersion", "CE-EventID", "CE-EventType", "CE-Source", "CE-EventTime"),
        ("ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time"),
    ],
)
def test_binary(headers: tuple[str, ...]) -> None:
    values = ("1.0", "e-1", "reading", "/sensors/7", "2026-01-31T09:00:00Z")
    pairs = [(name.encode(), value.encode()) for name, value in zip(headers, values, strict=True)]
    event = build({"degrees": 21}, (b"content-type", b"application/json"), *pairs)
    check_envelope(event, "1.0")
    assert (event.body, event.content_type) == ({"degrees": 21}, "application/json")


def test_messages_of_a_queue_may_be_cloud_events() -> None:
    properties = BasicProperties(content_type="application/cloudevents+json")
    message = AmqpMessage("e", "k", properties, json.dumps(NEW).encode())
    event = build_amqp(message, TriggerInfo("rabbit-mq", "queue"))
    assert (event.id, event.body, event.path) == ("e-1", {"degrees": 21}, "e/k")


@pytest.mark.parametrize("body", [b"", b"[1]", b"no json", b"\xff", b"[" * 100_000])
def test_envelope_that_is_none_is_an_error_of_its_event(body: bytes) -> None:
    with pytest.raises(ValueError, match="CloudEvent"):
        structured(body)


def test_batch_of_cloud_events_is_a_body_as_any_other() -> None:
    assert structured([NEW], b"application/cloudevents-batch+json").body == json.dumps([NEW]).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted({*OLD, *NEW})) | st.text(), json_values))
def test_any_object_is_an_envelope(envelope: dict[str, Any]) -> None:
    event = structured(envelope)
    assert isinstance(event.id, str) and isinstance(event.headers, dict)
    assert json.loads(event.to_json())["path"] == "/in"


def test_texts_stay_bytes_where_decoding_is_off(start: Start) -> None:
    env = [{"name": "NUCLIO_PYTHON_DECODE_EVENT_STRINGS", "value": "False"}]
    processor = start("raw_texts", env=env)
    with processor.connect() as client:
        head = b"POST /a?x=1 HTTP/1.1\r\nHost: h\r\nX-A: \xff\r\nContent-Type: application/json\r\n"
        client.sendall(head + b"Content-Length: 8\r\nConnection: close\r\n\r\n" + b'{"n": 1}')
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    event = ast.literal_eval(answer.partition(b"\r\n\r\n")[2].decode())
    assert event["headers"][b"X-A"] == b"\xff"
    assert (event["path"], event["method"], event["fields"]) == (b"/a", b"POST", {b"x": b"1"})
    assert (event["content_type"], event["body"]) == (b"application/json", {"n": 1})
    assert event["trigger"] == (b"http", b"default-http")
    assert len(event["id"]) == 36 and isinstance(event["id"], bytes)
    answer_to_asker = processor.ask(x_nuclio_log_level="debug")
    assert answer_to_asker.headers["x-nuclio-logs"] == "[]"
