"""Our own notes in the headers of messages: how often an event failed and why, and where it was first published.

They are believed only with our signature, by the function's own key: anybody who may publish could write the same. All
other headers are passed on as the bytes that they came in.
"""

import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stack.contract import (
    ATTEMPTS,
    DEATHS,
    DELIVERIES,
    ERROR,
    EXCHANGE,
    FIRST_FAILED,
    FUNCTION,
    LAST_FAILED,
    LEFT_OUT,
    NOTES,
    ROUTING_KEY,
    SIGNATURE,
    TRACEBACK,
)
from stack.processor.message import TOPIC, AmqpMessage
from stack.processor.source.rabbitmq.field_table import UNDECODED, encode_table, split_table, to_bytes, to_text
from stack.processor.source.rabbitmq.properties import Properties

_LABEL = b"tidegate signature:"


@dataclass(frozen=True)
class Origin:
    """Where a message was first published, and how often its event has failed."""

    exchange: str | bytes
    routing_key: str | bytes
    attempts: int = 0
    topic: str = ""
    """The topic of a message of MQTT that another broker brought."""


def derive_signature_key(password: str) -> bytes:
    """Return the key where a function has none: all that have the broker's password know it."""
    return hashlib.sha256(_LABEL + password.encode()).digest()


def sign(key: bytes, queue: str, origin: Origin, body: bytes) -> str:
    """Return the signature of a message in a queue, as hexadecimal text."""
    parts = (queue, origin.exchange, origin.routing_key, str(origin.attempts), origin.topic)
    texts = [part if isinstance(part, bytes) else part.encode(errors="surrogatepass") for part in parts]
    texts.append(hashlib.sha256(body).digest())
    # Lengths keep the end of one part from passing for the beginning of the next.
    message = b"".join(len(text).to_bytes(8) + text for text in texts)
    return hmac.digest(key, message, "sha256").hex()


def is_signed(key: bytes, queue: str, *, origin: Origin, body: bytes, signature: object) -> bool:
    """Return whether a message has the signature that it should have."""
    return isinstance(signature, str) and hmac.compare_digest(
        sign(key, queue, origin, body).encode(), signature.encode(errors="replace")
    )


if TYPE_CHECKING:
    # What replays dead letters has not all the libraries of a function.
    from stack.processor.delivery import Failure

_CLAIMS = NOTES | {TOPIC}
# Not for the handler: the event's path has them.
_HIDDEN = DEATHS | {EXCHANGE, ROUTING_KEY, SIGNATURE}
# CC and BCC of the author's would send each copy to other queues again.
_NOT_COPIED = frozenset(name.encode() for name in _CLAIMS | DEATHS | DELIVERIES | {"CC", "BCC"})

_PERSISTENT = 2
# The pseudo-queue of direct replies, to which only the channel that reads it may publish.
_DIRECT_REPLY = "amq.rabbitmq.reply-to"
# What a frame holds of properties at RabbitMQ's usual frame_max, and how much of it our own texts take at most.
ROOM = 131_072 - 32
_TEXT_BYTES, _NAMES_BYTES = 16_384, 2048


def read_origin(message: AmqpMessage, queue: str, key: bytes) -> Origin | None:
    """Return what one of our own copies says of itself; None where a message is none, or someone forged it."""
    headers = message.properties.headers
    if not headers or SIGNATURE not in headers:
        return None
    exchange, routing_key = headers.get(EXCHANGE), headers.get(ROUTING_KEY)
    attempts, topic = headers.get(ATTEMPTS, 0), headers.get(TOPIC, "")
    if not isinstance(exchange, str | bytes) or not isinstance(routing_key, str | bytes):
        return None
    if type(attempts) is not int or not isinstance(topic, str):
        return None
    origin = Origin(exchange, routing_key, attempts, topic)
    return origin if is_signed(key, queue, origin=origin, body=message.body, signature=headers[SIGNATURE]) else None


def strip_notes(headers: Mapping[Any, Any] | None, *, is_ours: bool) -> Any:
    """Return the headers as the handler sees them."""
    left_out = _HIDDEN if is_ours else _CLAIMS
    if not headers or left_out.isdisjoint(headers):
        return headers
    return {name: value for name, value in headers.items() if name not in left_out}


def write_notes(
    message: AmqpMessage, failure: "Failure", *, queue: str, function: str, key: bytes, bare: bool = False
) -> Properties:
    """Return the properties of a failed message's copy, which fit into one frame."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    seen = message.properties.headers or {}
    notes = _claim(message, queue, key) | {
        FUNCTION: function,
        ERROR: _shorten(failure.error, _TEXT_BYTES),
        TRACEBACK: _shorten(failure.origin, _TEXT_BYTES),
        FIRST_FAILED: to_text(seen[FIRST_FAILED]) if FIRST_FAILED in seen else now,
        LAST_FAILED: now,
    }
    old = Properties() if bare else message.properties
    return _fit(old, notes)


def sign_again(properties: Any, body: bytes, *, queue: str, key: bytes) -> Properties:
    """Return the properties with which a dead letter goes back to its queue: signed again, as if it had never failed.

    Where it was first published is told again, so that its event is what it was.
    """
    headers = properties.headers or {}
    known = {name: headers[name] for name in (EXCHANGE, ROUTING_KEY) if isinstance(headers.get(name), str | bytes)}
    message = AmqpMessage(known.get(EXCHANGE, ""), known.get(ROUTING_KEY, queue), properties, body)
    return _fit(properties, _claim(message, queue, key))


def note_origin(message: AmqpMessage, queue: str, key: bytes) -> Properties:
    """Return the properties with which a message moves from a queue into another that takes its place.

    They are those that it came with; where it was published is noted, since its new queue does not tell.
    """
    old = message.properties
    is_told = not message.exchange or SIGNATURE in (old.headers or {})
    left_out = frozenset(name.encode() for name in (DELIVERIES if is_told else DELIVERIES | _CLAIMS))
    notes = {} if is_told else _claim(message, queue, key)
    entries = [entry for name, entry in split_table(_find_raw(old)) if name not in left_out]
    values = {name: getattr(old, name) for name in (*_KEPT, "expiration", "delivery_mode")}
    return Properties(**values, raw_headers=encode_table(notes.items()) + b"".join(entries))


def _claim(message: AmqpMessage, queue: str, key: bytes) -> dict[str, Any]:
    """Return the notes that are signed."""
    topic = (message.properties.headers or {}).get(TOPIC, "")
    origin = Origin(message.exchange, message.routing_key, message.attempts, topic if isinstance(topic, str) else "")
    notes: dict[str, Any] = {EXCHANGE: origin.exchange, ROUTING_KEY: origin.routing_key}
    notes |= {ATTEMPTS: origin.attempts} if origin.attempts else {}
    notes |= {TOPIC: origin.topic} if origin.topic else {}
    return notes | {SIGNATURE: sign(key, queue, origin, message.body)}


def _fit(old: Any, notes: dict[str, Any]) -> Properties:
    """Return properties with some notes; the largest headers of the original are left out where there is no room.

    The original's `expiration` would end the copy before its time, and its `user_id` must be the publisher's own, or
    the broker closes the channel.
    """
    values = {name: getattr(old, name) for name in _KEPT}
    if values["reply_to"] == _DIRECT_REPLY:
        values["reply_to"] = None
    entries = list(_keep(old))
    bare = Properties(**values, raw_headers=encode_table(notes.items()), delivery_mode=_PERSISTENT)
    room = ROOM - bare.size
    if sum(len(entry) for _, entry in entries) > room:
        entries, names = _choose(entries, room - _NAMES_BYTES - len(LEFT_OUT) - 8)
        notes |= {LEFT_OUT: _shorten(names, _NAMES_BYTES)}
    bare.raw_headers = encode_table(notes.items()) + b"".join(entry for _, entry in entries)
    return bare


def _choose(entries: Sequence[tuple[bytes, bytes]], room: int) -> tuple[list[tuple[bytes, bytes]], str]:
    """Return as many entries as there is room for, the smallest, and the names of the others."""
    fitting = set()
    for index in sorted(range(len(entries)), key=lambda index: len(entries[index][1])):
        room -= len(entries[index][1])
        if room < 0:
            break
        fitting.add(index)
    others = (to_text(name) for index, (name, _) in enumerate(entries) if index not in fitting)
    return [entry for index, entry in enumerate(entries) if index in fitting], " ".join(others)


_KEPT = (
    "content_type", "content_encoding", "priority", "correlation_id", "reply_to", "message_id", "timestamp", "type",
    "app_id", "cluster_id",
)  # fmt: skip


def _keep(old: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers of a message that go with its copy, each as its name and its bytes."""
    yield from ((name, entry) for name, entry in split_table(_find_raw(old)) if name not in _NOT_COPIED)
    rest = (old.headers or {}).get(UNDECODED)
    if isinstance(rest, bytes):
        yield UNDECODED.encode(), encode_table([(UNDECODED, rest)])


def _find_raw(properties: Any) -> bytes:
    """Return the table of headers as it came, or as it is to be sent."""
    raw = getattr(properties, "raw_headers", None)
    if raw is None:
        raw = encode_table((name, value) for name, value in (properties.headers or {}).items() if name != UNDECODED)
    return bytes(raw)


def _shorten(text: str, limit: int) -> str:
    """Return text that UTF-8 can hold, in at most that many bytes; a long one loses its end."""
    return to_bytes(text)[:limit].decode(errors="ignore")
