"""Heads of frames to the process of a handler: what an event says beside its body, in JSON."""

import json
from datetime import datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

from nuclio_sdk import Event

from stack.contract import HTTP
from stack.processor.event import to_text

# Kinds of triggers that events of Nuclio spell otherwise.
_KINDS = {"rabbit-mq": "rabbitMq"}
_EPOCH, _MILLISECOND = datetime(1970, 1, 1), timedelta(milliseconds=1)


def describe_event(event: Event) -> str:
    """Return the head of an event's frame: what the wrapper puts into the event, in this order."""
    fields, headers, kind = event.fields, event.headers, event.trigger.kind
    rest = _describe_rest(
        event.content_type,
        event.method,
        event.path,
        event.timestamp,
        event.topic,
        _KINDS.get(kind, kind),
        event.trigger.name,
        event.type,
        event.type_version,
        event.url,
        event.version,
    )
    fields_text = encode(fields) if fields or kind == HTTP else "null"
    return f"[{encode(event.id)},{event.size or 0},{fields_text},{encode(headers) if headers else 'null'},{rest}]"


@lru_cache(maxsize=256, typed=True)
def _describe_rest(*values: Any) -> str:
    """Return what many events have alike, in JSON without its brackets."""
    times = [(one - _EPOCH) / _MILLISECOND if isinstance(one, datetime) else one for one in values]
    return encode(times)[1:-1]


def encode(value: Any) -> str:
    """Return a value in JSON; what that does not have is text, or null."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    try:
        return _encode_strictly(value)
    except (TypeError, ValueError):
        return _encode_strictly(_clean(value))


def _clean(value: Any) -> Any:
    """Return a value with names that are text, and null for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {to_text(key) if isinstance(key, bytes) else str(key): _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _simplify(value: Any) -> Any:
    """Return what JSON can say in the place of what it cannot, such as types of AMQP's headers."""
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    return value.isoformat() if isinstance(value, datetime) else str(value)


_encode_strictly = json.JSONEncoder(separators=(",", ":"), default=_simplify, allow_nan=False).encode
