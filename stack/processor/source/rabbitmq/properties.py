"""The properties of an AMQP message, in the place of pika's: whatever a publisher wrote is read and can be sent again.

pika looks up what reads a message's properties in `pika.spec.props`, by the number of their class. Importing this
module puts `Properties` there, for every connection of the process.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct, error
from typing import Any

from pika import BasicProperties, spec

from stack.processor.source.rabbitmq.field_table import UNDECODED, decode_table, encode_short, read_text

_FLAGS, _LENGTH, _BYTE, _SECOND = Struct(">H"), Struct(">I"), Struct(">B"), Struct(">Q")
# The lowest bit of the flags says that more flags follow; AMQP 0-9-1 has no property for them.
_MORE = 1
_Reader = Callable[[bytes, int], tuple[Any, int]]


class Properties(BasicProperties):  # type: ignore[misc]
    """Properties with the table of headers as it came in `raw_headers`, which is what is sent.

    Texts that are not UTF-8 are bytes. `headers` is for reading: what is changed there is not sent.
    """

    # What a message does not say; so that making one costs nothing.
    content_type = content_encoding = correlation_id = reply_to = expiration = message_id = None
    type = user_id = app_id = cluster_id = None
    delivery_mode = priority = timestamp = None
    headers: Any = None
    raw_headers: bytes | None = None

    def __init__(self, **values: Any) -> None:
        # Not pika's, which would set each of them.
        self.__dict__.update(values)

    def decode(self, encoded: bytes, offset: int = 0) -> "Properties":
        """Read the properties; what cannot be read is bytes in the headers, under the name `UNDECODED`."""
        found = self.__dict__
        try:
            flags, offset = _read_flags(encoded, offset)
            for name, read in _plan(flags):
                found[name], offset = read(encoded, offset)
        except (error, IndexError):
            self.headers = {UNDECODED: encoded}
            return self
        raw = self.raw_headers
        if raw is not None:
            self.headers = decode_table(raw)
        return self

    def encode(self) -> list[bytes]:
        """Return the pieces of what is sent."""
        flags, pieces = 0, [b""]
        for bit, name, _, write in _FIELDS:
            value = getattr(self, name)
            if value is not None:
                flags |= bit
                pieces.append(write(value))
        pieces[0] = _FLAGS.pack(flags)
        return pieces

    @property
    def size(self) -> int:
        """The bytes that are sent."""
        return sum(map(len, self.encode()))


def _read_flags(encoded: bytes, offset: int) -> tuple[int, int]:
    flags = more = _FLAGS.unpack_from(encoded, offset)[0]
    offset += _FLAGS.size
    while more & _MORE:
        more = _FLAGS.unpack_from(encoded, offset)[0]
        offset += _FLAGS.size
    return flags, offset


def _read_short(encoded: bytes, offset: int) -> tuple[Any, int]:
    start = offset + 1
    stop = start + encoded[offset]
    if stop > len(encoded):
        raise IndexError
    return read_text(encoded[start:stop]), stop


def _read_table(encoded: bytes, offset: int) -> tuple[bytes, int]:
    start = offset + _LENGTH.size
    stop = start + _LENGTH.unpack_from(encoded, offset)[0]
    if stop > len(encoded):
        raise IndexError
    return encoded[start:stop], stop


def _read_byte(encoded: bytes, offset: int) -> tuple[int, int]:
    return encoded[offset], offset + 1


def _read_second(encoded: bytes, offset: int) -> tuple[int, int]:
    return _SECOND.unpack_from(encoded, offset)[0], offset + _SECOND.size


def _write_table(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


# The flag of each property, its name, what reads and what writes it, in their order on the wire.
_SHORT = (_read_short, encode_short)
_FIELDS: tuple[tuple[int, str, _Reader, Callable[[Any], bytes]], ...] = (
    (BasicProperties.FLAG_CONTENT_TYPE, "content_type", *_SHORT),
    (BasicProperties.FLAG_CONTENT_ENCODING, "content_encoding", *_SHORT),
    (BasicProperties.FLAG_HEADERS, "raw_headers", _read_table, _write_table),
    (BasicProperties.FLAG_DELIVERY_MODE, "delivery_mode", _read_byte, _BYTE.pack),
    (BasicProperties.FLAG_PRIORITY, "priority", _read_byte, _BYTE.pack),
    (BasicProperties.FLAG_CORRELATION_ID, "correlation_id", *_SHORT),
    (BasicProperties.FLAG_REPLY_TO, "reply_to", *_SHORT),
    (BasicProperties.FLAG_EXPIRATION, "expiration", *_SHORT),
    (BasicProperties.FLAG_MESSAGE_ID, "message_id", *_SHORT),
    (BasicProperties.FLAG_TIMESTAMP, "timestamp", _read_second, _SECOND.pack),
    (BasicProperties.FLAG_TYPE, "type", *_SHORT),
    (BasicProperties.FLAG_USER_ID, "user_id", *_SHORT),
    (BasicProperties.FLAG_APP_ID, "app_id", *_SHORT),
    (BasicProperties.FLAG_CLUSTER_ID, "cluster_id", *_SHORT),
)


@lru_cache(maxsize=256)
def _plan(flags: int) -> tuple[tuple[str, _Reader], ...]:
    """Return what is to be read where these flags are set."""
    return tuple((name, read) for bit, name, read, _ in _FIELDS if flags & bit)


spec.props[BasicProperties.INDEX] = Properties
