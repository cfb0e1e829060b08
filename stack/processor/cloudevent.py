"""CloudEvents: an event in another's envelope, opened as Nuclio opens it.

Both modes of a version are read: structured, where a JSON body is the envelope, and binary, where headers are. Nuclio
knows version 0.1 of the specification; version 1.0 names the same attributes otherwise.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nuclio_sdk import Event, TriggerInfo

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
