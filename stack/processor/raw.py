"""Events whose texts stay bytes, as Nuclio gives them where NUCLIO_PYTHON_DECODE_EVENT_STRINGS is off."""

import os
from collections.abc import Mapping
from typing import Any

from nuclio_sdk import Event, TriggerInfo

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
