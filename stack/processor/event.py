"""Nuclio's events, made from what the sources hand over.

What builds those of one kind of trigger is in stack/processor/trigger. The attributes are those of Nuclio's Python
runtime, but for the id: each event without one of its own gets a new one, which Nuclio does not give.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from random import getrandbits
from typing import Any
from uuid import uuid4

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger

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
