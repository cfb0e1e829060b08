"""Nuclio's events, made from what the sources hand over, and CloudEvents opened as Nuclio opens them.

What builds those of one kind of trigger is in stack/processor/trigger. The attributes are those of Nuclio's Python
runtime, but for the id: each event without one of its own gets a new one, which Nuclio does not give. Of a CloudEvent
both modes are read: structured, where a JSON body is the envelope, and binary, where headers are; Nuclio knows version
0.1 of the specification, and version 1.0 names the same attributes otherwise.
"""

import base64
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from random import getrandbits
from typing import Any
from uuid import uuid4

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger

_STRUCTURED, _BATCH = "application/cloudevents", "application/cloudevents-batch"
# Headers, as an http or a rabbit-mq event has them, one of which every event in binary mode carries.
_VERSION_HEADERS = frozenset(
    ("Ce-Cloudeventsversion", "Ce-Specversion", "CE-CloudEventsVersion", "cloudEvents:specversion")
)
_PREFIXES = ("ce-", "cloudevents:")
# The attributes of version 0.1, in lower case, by the names that 1.0 gives them.
_OLD_NAMES = {
    "eventid": "id",
    "eventtype": "type",
    "eventtypeversion": "typeversion",
    "eventtime": "time",
    "cloudeventsversion": "specversion",
    "contenttype": "datacontenttype",
}
_ATTRIBUTES = frozenset(
    ("id", "source", "specversion", "type", "typeversion", "time", "datacontenttype", "dataschema", "schemaurl")
)
_DATA = frozenset(("data", "data_base64", "extensions"))
_NO_TIME = datetime(1, 1, 1)


def is_cloud_event(event: Event) -> bool:
    """Return whether an event is in an envelope."""
    content_type = event.content_type
    if isinstance(content_type, str) and content_type.startswith(_STRUCTURED):
        return not content_type.startswith(_BATCH)
    return not _VERSION_HEADERS.isdisjoint(event.headers)


def open_envelope(event: Event, body: bytes) -> Event:
    """Put what an envelope says in the place of what its carrier said; `body` is the carrier's.

    Raises:
        ValueError: the body of one in structured mode is no JSON object.
    """
    if isinstance(event.content_type, str) and event.content_type.startswith(_STRUCTURED):
        return _open_structured(event, body)
    attributes = {
        lower[len(prefix) :]: value
        for name, value in event.headers.items()
        for prefix in _PREFIXES
        if isinstance(name, str) and (lower := name.lower()).startswith(prefix)
    }
    return _apply(event, _rename(attributes))


def _open_structured(event: Event, body: bytes) -> Event:
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body should be a CloudEvent in JSON: {error}") from None
    if not isinstance(envelope, dict):
        raise ValueError("the body should be a CloudEvent, a JSON object")
    attributes = _rename({name.lower(): value for name, value in envelope.items()})
    event.content_type = str(attributes.get("datacontenttype") or "")
    event.body = _read_data(attributes, event.content_type)
    extensions = attributes.get("extensions")
    others = {name: value for name, value in attributes.items() if name not in _ATTRIBUTES | _DATA}
    event.headers = {**others, **extensions} if isinstance(extensions, dict) else others
    return _apply(event, attributes)


def _rename(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {_OLD_NAMES.get(name, name): value for name, value in attributes.items()}


def _read_data(attributes: Mapping[str, Any], content_type: str) -> Any:
    """Return the data: an object as it is, and a text as bytes, unless those are JSON."""
    if "data_base64" in attributes:
        return base64.b64decode(str(attributes["data_base64"]))
    data = attributes.get("data")
    if not isinstance(data, str):
        return b"" if data is None else data
    try:
        return json.loads(data) if content_type == "application/json" else data.encode()
    except (ValueError, RecursionError):
        return data.encode()


def _apply(event: Event, attributes: Mapping[str, Any]) -> Event:
    source = str(attributes.get("source", ""))
    event.trigger = TriggerInfo(source, str(attributes.get("name", source)))
    event.id = str(attributes.get("id") or event.id)
    event.type = str(attributes.get("type", ""))
    event.type_version = str(attributes.get("typeversion", ""))
    event.version = str(attributes.get("specversion", ""))
    event.timestamp = _read_time(attributes.get("time"))
    return event


def _read_time(text: object) -> datetime:
    """Return a time as Nuclio's naive UTC; the zero time where none is given."""
    try:
        time = datetime.fromisoformat(str(text))
        return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    except (ValueError, OverflowError):
        return _NO_TIME


_SWITCH = "NUCLIO_PYTHON_DECODE_EVENT_STRINGS"
_OFF = ("no", "false", "disable", "disabled")
_TEXTS = ("content_type", "id", "method", "path", "url", "type", "type_version", "version", "topic")


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
NO_TIME = datetime(1, 1, 1)


def describe_trigger(trigger: Trigger) -> TriggerInfo:
    """Return what an event tells of its trigger."""
    return TriggerInfo(trigger.kind, trigger.name)


def new_id() -> str:
    """Return a random UUID (version 4)."""
    return str(uuid4())


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


@dataclass(frozen=True)
class EventForm:
    """In what form handlers get events."""

    errors: str = "strict"
    """What str.decode does of headers that are not UTF-8."""
    decode: Callable[[bytes, str], Any] = decode_body
    """Returns what a body of a content type is to the handler."""
    encodes: bool = False
    """Whether the texts of an event but its body's are bytes."""


DECODED = EventForm()


def read_form() -> EventForm:
    """Return the form of events in Python: texts are decoded, unless the environment says otherwise."""
    is_decoding = os.environ.get(_SWITCH, "").strip().lower() not in _OFF
    return DECODED if is_decoding else EventForm("surrogateescape", encodes=True)


def open_ids() -> NextId:
    """Return what gives a new id each time: UUIDs (version 4) that count on from a random one, which costs less."""
    prefix, numbers = str(uuid4())[:-12], count(getrandbits(47))
    return lambda: f"{prefix}{next(numbers):012x}"


def keep_id(properties: Any, next_id: NextId) -> None:
    """Give a message of AMQP an id where its publisher gave none: its copies, which are tried again, have the same."""
    if not properties.message_id:
        properties.message_id = next_id()


@lru_cache(maxsize=4)
def to_time(second: int) -> datetime:
    """Return seconds since the epoch as Nuclio's naive UTC time; the zero time where no calendar reaches it."""
    try:
        return datetime.fromtimestamp(second, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return NO_TIME


# Attributes that only streams and CloudEvents fill.
UNUSED = {
    "shard_id": -1,
    "num_shards": 0,
    "_type": "",
    "type_version": "",
    "version": "",
    "last_in_batch": False,
    "offset": 0,
    "topic": "",
}


def to_text(name: str | bytes) -> str:
    """Return a name, one that is not UTF-8 with its odd bytes as their escapes."""
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")
