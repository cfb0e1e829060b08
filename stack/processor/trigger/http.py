"""Requests at a port of the container."""

from functools import lru_cache, partial
from urllib.parse import parse_qsl, unquote

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger
from stack.processor.event import (
    DECODED,
    UNUSED,
    Builder,
    EventForm,
    NextId,
    describe_trigger,
    is_cloud_event,
    new_id,
    open_envelope,
    open_ids,
    to_time,
)
from stack.processor.message import HttpMessage
from stack.processor.trigger.registry import TriggerKind


def open_http_builder(trigger: Trigger, form: EventForm) -> Builder:
    """Return what builds the events of an http trigger."""
    return partial(build_http, trigger=describe_trigger(trigger), form=form, next_id=open_ids())


def build_http(
    message: HttpMessage, trigger: TriggerInfo, *, form: EventForm = DECODED, next_id: NextId = new_id
) -> Event:
    """Make the event of a request.

    Raises:
        UnicodeDecodeError: a header is not UTF-8.
    """
    headers = {_name_header(name): value.decode("utf-8", form.errors) for name, value in message.headers}
    content_type = headers.get("Content-Type", "")
    path, query = _split_target(message.target)
    event = Event(
        body=form.decode(message.body, content_type),
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
        **UNUSED,
    )
    return open_envelope(event, message.body) if is_cloud_event(event) else event


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


KIND = TriggerKind("stack.processor.source.http.source", open_http_builder, has_port=True, is_single=True)
