"""What is sent to an output: a body as bytes, and what goes with it."""

import json
from collections.abc import Mapping, Sequence
from random import randbytes
from typing import Any, NamedTuple

from stack.processor.event import to_text

_JSON, _TEXT = "application/json", "text/plain"
# W3C Trace Context: version, trace, span and flags of a traceparent.
TRACE_HEADER, _TRACE_VERSION, _NOT_SAMPLED = "traceparent", "00", "00"
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
# Headers of HTTP that are of one connection, or of one body.
_OWN = frozenset(("connection", "content-length", "expect", "host", "keep-alive", "te", "transfer-encoding", "upgrade"))
_HEX = frozenset("0123456789abcdef")


class OutputError(Exception):
    """A message could not be sent; the text says to which output and why."""


class OutputMessage(NamedTuple):
    """One message to an output."""

    output: str
    body: bytes
    content_type: str
    address: str
    """The routing key, or the topic; nothing where the output alone says where to."""
    headers: Mapping[str, str]
    message_id: str
    correlation_id: str

    @property
    def content(self) -> Any:
        """The body as its receiver reads it: the object that JSON holds, a text, or bytes."""
        if self.content_type == _JSON:
            return json.loads(self.body)
        return self.body.decode() if self.content_type == _TEXT else self.body


def describe_message(message: OutputMessage, configured: Mapping[str, str] | None = None) -> dict[str, str | bytes]:
    """Return the headers of a message as a request has them; later ones replace those of the same name, in any case."""
    defaults = {
        "Content-Type": message.content_type,
        "Idempotency-Key": message.message_id,
        "X-Correlation-Id": message.correlation_id,
    }
    found: dict[str, tuple[str, str | bytes]] = {}
    for headers in (defaults, configured or {}, message.headers):
        for name, value in headers.items():
            first = found.get(name.lower(), (name,))[0]
            found[name.lower()] = (first, _encode_value(value))
    return dict(found.values())


def describe_request(message: OutputMessage, configured: Mapping[str, str] | None = None) -> dict[str, str | bytes]:
    """Return the same without what a client says of its own connection and body: a handler may pass an event's on."""
    own = message._replace(headers={name: one for name, one in message.headers.items() if name.lower() not in _OWN})
    return describe_message(own, configured)


def _encode_value(value: str) -> str | bytes:
    """Return the value of a header; what Latin-1, which HTTP clients write texts in, does not have is UTF-8."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode(errors="replace")
    return value


def continue_trace(found: object) -> str:
    """Return a traceparent with a span of our own, in the trace of the one that came; in a new trace if none did."""
    span = randbytes(_SPAN_DIGITS // 2).hex()
    parts = to_text(found).strip().split("-") if isinstance(found, str | bytes) else ()
    if parts and _is_trace(parts):
        return f"{_TRACE_VERSION}-{parts[1]}-{span}-{parts[3]}"
    return f"{_TRACE_VERSION}-{randbytes(_TRACE_DIGITS // 2).hex()}-{span}-{_NOT_SAMPLED}"


def _is_trace(parts: Sequence[str]) -> bool:
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, _TRACE_DIGITS, _SPAN_DIGITS, 2]:
        return False
    is_hex = all(_HEX.issuperset(part) for part in parts[:4])
    return is_hex and parts[0] != "ff" and bool(int(parts[1], 16)) and bool(int(parts[2], 16))
