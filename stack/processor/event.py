"""Nuclio's events, made from what the sources hand over.

One builder for each kind of trigger; the attributes are those of Nuclio's Python runtime, but for the id: each event
without one of its own gets a new one, which Nuclio does not give.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import count
from random import getrandbits
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from nuclio_sdk import Event, TriggerInfo

from stack.processor.cloudevent import is_cloud_event, open_envelope
from stack.processor.configuration import Trigger
from stack.processor.message import TOPIC, AmqpMessage, CronMessage, HttpMessage, MqttMessage

_SWITCH = "NUCLIO_PYTHON_DECODE_EVENT_STRINGS"
_OFF = ("no", "false", "disable", "disabled")
_TEXTS = ("content_type", "id", "method", "path", "url", "type", "type_version", "version", "topic")


def is_decoding() -> bool:
    """Return whether the texts of events are decoded; they are, unless the environment says otherwise."""
    return os.environ.get(_SWITCH, "").strip().lower() not in _OFF


def encode_event(event: Event) -> Event:
    """Turn all texts of an event but its body's into bytes."""
    for name in _TEXTS:
        setattr(event, name, _encode(getattr(event, name)))
    event.headers = _encode_mapping(event.headers)
    event.fields = _encode_mapping(event.fields)
    event.trigger = TriggerInfo(_encode(event.trigger.kind), _encode(event.trigger.name))
    return event


def _encode_mapping(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    return {_encode(name): _encode(value) for name, value in mapping.items()}


def _encode(value: Any) -> Any:
    # What was no UTF-8 comes out as it came in.
    return value.encode(errors="surrogateescape") if isinstance(value, str) else value


Builder = Callable[[Any], Event]
NextId = Callable[[], str]

# What Go's zero time is to Python, and so the timestamp of a message that carries none.
_NO_TIME = datetime(1, 1, 1)


def open_http_builder(trigger: Trigger, errors: str) -> Builder:
    """Return what builds the events of an http trigger; `errors` is what str.decode does of what is not UTF-8."""
    return partial(build_http, trigger=_describe(trigger), errors=errors, next_id=open_ids())


def open_amqp_builder(trigger: Trigger, _errors: str) -> Builder:
    """Return what builds the events of a rabbit-mq trigger."""
    return partial(build_amqp, trigger=_describe(trigger), next_id=open_ids())


def open_mqtt_builder(trigger: Trigger, _errors: str) -> Builder:
    """Return what builds the events of an mqtt trigger."""
    return partial(build_mqtt, trigger=_describe(trigger), url=trigger.url_to_show, next_id=open_ids())


def open_cron_builder(trigger: Trigger, _errors: str) -> Builder:
    """Return what builds the events of a cron trigger."""
    return partial(build_cron, trigger=_describe(trigger))


def _describe(trigger: Trigger) -> TriggerInfo:
    return TriggerInfo(trigger.kind, trigger.name)


def new_id() -> str:
    """Return a random UUID (version 4)."""
    return str(uuid4())


def build_http(
    message: HttpMessage, trigger: TriggerInfo, *, errors: str = "strict", next_id: NextId = new_id
) -> Event:
    """Make the event of a request; `errors` is what str.decode does of headers that are not UTF-8.

    Raises:
        UnicodeDecodeError: a header is not UTF-8.
    """
    headers = {_name_header(name): value.decode("utf-8", errors) for name, value in message.headers}
    content_type = headers.get("Content-Type", "")
    path, query = _split_target(message.target)
    event = Event(
        body=decode_body(message.body, content_type),
        content_type=content_type,
        trigger=trigger,
        fields=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=headers,
        _id=next_id(),
        method=message.method.decode(),
        path=path,
        size=len(message.body),
        timestamp=to_time(int(message.received)),
        url="",
        **_UNUSED,
    )
    return open_envelope(event, message.body) if is_cloud_event(event) else event


def build_amqp(message: AmqpMessage, trigger: TriggerInfo, *, next_id: NextId = new_id) -> Event:
    """Make the event of a message of an AMQP queue."""
    properties = message.properties
    content_type = properties.content_type or ""
    event = Event(
        body=decode_body(message.body, content_type),
        content_type=content_type,
        trigger=trigger,
        headers=dict(properties.headers) if properties.headers else None,
        _id=properties.message_id or next_id(),
        method=properties.type or "",
        path=f"{_to_text(message.exchange)}/{_to_text(message.routing_key)}",
        size=len(message.body),
        timestamp=_NO_TIME if properties.timestamp is None else to_time(properties.timestamp),
        url=properties.reply_to or "",
        **_UNUSED,
    )
    return open_envelope(event, message.body) if is_cloud_event(event) else event


def build_mqtt(
    message: AmqpMessage | MqttMessage, trigger: TriggerInfo, url: str, *, next_id: NextId = new_id
) -> Event:
    """Make the event of an MQTT message, whether an MQTT session or an AMQP queue brought it; its body stays bytes."""
    if isinstance(message, AmqpMessage):
        message = _read_topic(message)
    return Event(
        body=message.payload,
        content_type=message.content_type,
        trigger=trigger,
        headers=message.headers,
        _id=str(message.packet_id) if message.packet_id >= 0 else next_id(),
        method="",
        path=message.topic,
        size=len(message.payload),
        timestamp=to_time(int(message.received)),
        url=url,
        **{**_UNUSED, "topic": message.topic},
    )


def build_cron(message: CronMessage, trigger: TriggerInfo) -> Event:
    """Make the event of a cron trigger; its time is the epoch, as with Nuclio, and its body stays bytes."""
    return Event(
        body=message.body,
        content_type="",
        trigger=trigger,
        headers=dict(message.headers),
        _id=new_id(),
        method=message.method,
        path=message.path,
        size=len(message.body),
        timestamp=to_time(0),
        url="",
        **_UNUSED,
    )


def decode_body(body: bytes, content_type: str) -> Any:
    """Return the object that a JSON body holds; any other body as it came.

    As with Nuclio, only a content type of exactly `application/json`, without parameters, is taken for JSON.
    """
    if content_type != "application/json":
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        sys.stderr.write(f"the body is not JSON and stays bytes: {error}\n")
        return body


def open_ids() -> NextId:
    """Return what gives a new id each time: UUIDs (version 4) that count on from a random one, which costs less."""
    prefix, numbers = str(uuid4())[:-12], count(getrandbits(47))
    return lambda: f"{prefix}{next(numbers):012x}"


@lru_cache(maxsize=4)
def to_time(second: int) -> datetime:
    """Return seconds since the epoch as Nuclio's naive UTC time; the zero time where no calendar reaches it."""
    try:
        return datetime.fromtimestamp(second, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return _NO_TIME


# Attributes that only streams and CloudEvents fill.
_UNUSED = {
    "shard_id": -1,
    "num_shards": 0,
    "_type": "",
    "type_version": "",
    "version": "",
    "last_in_batch": False,
    "offset": 0,
    "topic": "",
}


@lru_cache(maxsize=256)
def _name_header(name: bytes) -> str:
    """Return a header's name as Nuclio writes it: `content-type` is `Content-Type`."""
    return "-".join(part.capitalize() for part in name.decode().split("-"))


@lru_cache(maxsize=128)
def _split_target(target: bytes) -> tuple[str, str]:
    """Return path and query of a request's target, the path decoded and without empty, `.` and `..` segments."""
    raw_path, _, query = target.partition(b"?")
    if b"%" not in raw_path and b"//" not in raw_path and b"/." not in raw_path and raw_path[:1] == b"/":
        return raw_path.decode(errors="replace"), query.decode(errors="replace")
    if b"://" in raw_path and raw_path[:1] != b"/":
        raw_path = b"/" + raw_path.partition(b"://")[2].partition(b"/")[2]
    return _normalise_path(unquote(raw_path.decode(errors="replace"))), query.decode(errors="replace")


def _normalise_path(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    folder = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(segments) + folder


def _to_text(name: str | bytes) -> str:
    """Return a name, one that is not UTF-8 with its odd bytes as their escapes."""
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")


def _read_topic(message: AmqpMessage) -> MqttMessage:
    """Return the MQTT message that RabbitMQ made an AMQP message of; it writes `/` as `.`.

    It keeps messages of quality 1 on the disk, and gives retained ones to MQTT clients only.
    """
    properties = message.properties
    known = {"x-mqtt-publish-qos": 1 if properties.delivery_mode == 2 else 0, "x-mqtt-retain": False}
    headers = known | (properties.headers or {})
    return MqttMessage(
        topic=headers.pop(TOPIC, "") or _to_text(message.routing_key).replace(".", "/"),
        payload=message.body,
        packet_id=-1,
        headers=headers,
        content_type=properties.content_type or "",
        received=properties.timestamp if properties.timestamp is not None else datetime.now().timestamp(),
    )
