"""Nuclio's events, made from what the sources hand over.

One builder for each kind of trigger; the attributes are those of Nuclio's Python runtime, but for the id: each event
without one of its own gets a new one, which Nuclio does not give.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from random import getrandbits
from typing import Any
from urllib.parse import parse_qsl, unquote

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger
from stack.processor.message import AmqpMessage, HttpMessage, MqttMessage

Builder = Callable[[Any], Event]

# What Go's zero time is to Python, and so the timestamp of a message that carries none.
_NO_TIME = datetime(1, 1, 1)


def open_builder(trigger: Trigger) -> Builder:
    """Return what makes events of a trigger's messages."""
    info = TriggerInfo(trigger.kind, trigger.name)
    if trigger.kind == "http":
        return partial(build_http, trigger=info)
    if trigger.kind == "mqtt":
        return partial(build_mqtt, trigger=info, url=trigger.url_to_show)
    return partial(build_amqp, trigger=info)


def build_http(message: HttpMessage, trigger: TriggerInfo) -> Event:
    """Make the event of a request.

    Raises:
        UnicodeDecodeError: a header is not UTF-8.
    """
    headers = {_name_header(name): value.decode() for name, value in message.headers}
    content_type = headers.get("Content-Type", "")
    path, query = _split_target(message.target)
    return Event(
        body=decode_body(message.body, content_type),
        content_type=content_type,
        trigger=trigger,
        fields=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=headers,
        _id=new_id(),
        method=message.method.decode(),
        path=path,
        size=len(message.body),
        timestamp=to_time(int(message.received)),
        url="",
        **_UNUSED,
    )


def build_amqp(message: AmqpMessage, trigger: TriggerInfo) -> Event:
    """Make the event of a message of an AMQP queue."""
    properties = message.properties
    content_type = properties.content_type or ""
    return Event(
        body=decode_body(message.body, content_type),
        content_type=content_type,
        trigger=trigger,
        headers=properties.headers,
        _id=properties.message_id or new_id(),
        method=properties.type or "",
        path=f"{message.exchange}/{message.routing_key}",
        size=len(message.body),
        timestamp=_NO_TIME if properties.timestamp is None else to_time(properties.timestamp),
        url=properties.reply_to or "",
        **_UNUSED,
    )


def build_mqtt(message: AmqpMessage | MqttMessage, trigger: TriggerInfo, url: str) -> Event:
    """Make the event of an MQTT message, whether an MQTT session or an AMQP queue brought it; its body stays bytes."""
    if isinstance(message, AmqpMessage):
        message = _read_topic(message)
    return Event(
        body=message.payload,
        content_type=message.content_type,
        trigger=trigger,
        headers=message.headers,
        _id=str(message.packet_id) if message.packet_id >= 0 else new_id(),
        method="",
        path=message.topic,
        size=len(message.payload),
        timestamp=to_time(int(message.received)),
        url=url,
        **{**_UNUSED, "topic": message.topic},
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


def new_id() -> str:
    """Return a random UUID (version 4), several times faster than the uuid module's."""
    bits = getrandbits(128) & ~(0xF << 76 | 0x3 << 62) | (0x4 << 76 | 0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


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


def _read_topic(message: AmqpMessage) -> MqttMessage:
    """Return the MQTT message that RabbitMQ made an AMQP message of; it writes `/` as `.`."""
    properties = message.properties
    return MqttMessage(
        topic=message.routing_key.replace(".", "/"),
        payload=message.body,
        packet_id=-1,
        headers=properties.headers or {},
        content_type=properties.content_type or "",
        received=properties.timestamp if properties.timestamp is not None else datetime.now().timestamp(),
    )
