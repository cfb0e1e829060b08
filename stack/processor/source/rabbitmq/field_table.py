"""Field tables of AMQP 0-9-1, such as a message's headers: read whatever a publisher wrote, and kept as it was.

pika fails at a time that no calendar reaches and at deep nesting, which ends the connection and so brings the message
again, and cuts the fraction off floats. Here nothing fails: what cannot be read stays bytes.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct, error
from typing import Any

# The name under which the rest of a table is given, as bytes, from the first entry that cannot be read.
UNDECODED = "x-nuclio-undecoded"

Key = str | bytes
_Read = tuple[Any, int]

# Tables and lists deeper than this, and all beyond this many values, stay bytes.
_DEPTH, _VALUES = 64, 10_000
_LENGTH, _SCALED = Struct(">I"), Struct(">Bi")
# Types of a fixed size. RabbitMQ's errata, not the specification, say what the letters mean, as for pika.
_FIXED = {
    kind: (layout.unpack_from, layout.size)
    for kind, layout in (
        (ord("b"), Struct(">b")), (ord("B"), Struct(">B")), (ord("U"), Struct(">h")), (ord("s"), Struct(">h")),
        (ord("u"), Struct(">H")), (ord("I"), Struct(">i")), (ord("i"), Struct(">I")), (ord("L"), Struct(">q")),
        (ord("l"), Struct(">q")), (ord("f"), Struct(">f")), (ord("d"), Struct(">d")), (ord("t"), Struct(">?")),
    )
}  # fmt: skip
_TEXT, _BYTES, _TABLE, _LIST, _NONE, _TIME, _DECIMAL = b"SxFAVTD"
_LONG = frozenset((_TEXT, _BYTES, _TABLE, _LIST))
_TIMESTAMP = Struct(">Q")
_INT, _FLOAT = Struct(">cq"), Struct(">cd")
_SHORT = 255


class TableError(ValueError):
    """Bytes that are no entry of a table."""


def decode_table(data: bytes) -> dict[Key, Any]:
    """Return what a table, given without its length, holds; names and texts that are not UTF-8 are bytes.

    Where an entry cannot be read, that and all after it are bytes under the name `UNDECODED`.
    """
    found: dict[Key, Any] = {}
    reader, offset = _Reader(data), 0
    try:
        while offset < len(data):
            start = offset
            name, offset = reader.read_name(offset)
            found[name], offset = reader.read_value(offset, 0)
    except TableError:
        found[UNDECODED] = data[start:]
    return found


def split_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each entry of a table as its name and all of its bytes; what cannot be read is left out."""
    reader, offset = _Reader(data), 0
    try:
        while offset < len(data):
            start, (name, offset) = offset, reader.find_name(offset)
            offset = reader.skip_value(offset)
            yield name, data[start:offset]
    except TableError:
        return


def encode_table(entries: Iterable[tuple[Key, Any]]) -> bytes:
    """Return a table, without its length; any value can be written, a tuple as a list, and if need be as text."""
    return b"".join(encode_short(name) + _encode_value(value) for name, value in entries)


def encode_short(text: Key) -> bytes:
    """Return a short string with its length; what is too long loses its end."""
    data = to_bytes(text)[:_SHORT]
    return bytes((len(data),)) + data


def to_bytes(text: Key) -> bytes:
    """Return text as UTF-8, whatever it holds: a lone surrogate is written as its escape."""
    return text if isinstance(text, bytes) else text.encode(errors="backslashreplace")


def to_text(value: Any) -> str:
    """Return a text, or bytes that are none, as text that UTF-8 can hold."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else to_bytes(str(value)).decode()


def read_text(data: bytes) -> Key:
    """Return bytes as the text that they are, or as they are."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class _Reader:
    """Reads values out of a table's bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data)
        self._left = _VALUES

    def find_name(self, offset: int) -> tuple[bytes, int]:
        """Return a name and where its value begins."""
        stop = offset + 1 + self._data[offset]
        if stop >= self._end:
            raise TableError
        return self._data[offset + 1 : stop], stop

    def read_name(self, offset: int) -> tuple[Key, int]:
        """Return a name, as text where it is that, and where its value begins."""
        stop = offset + 1 + self._data[offset]
        if stop >= self._end:
            raise TableError
        return read_text(self._data[offset + 1 : stop]), stop

    def read_value(self, offset: int, depth: int) -> _Read:
        """Return a value and where it ends."""
        self._left -= 1
        if self._left < 0:
            raise TableError
        kind = self._data[offset]
        fixed = _FIXED.get(kind)
        if fixed:
            stop = offset + 1 + fixed[1]
            if stop > self._end:
                raise TableError
            return fixed[0](self._data, offset + 1)[0], stop
        stop = self.skip_value(offset)
        if kind == _TEXT:
            return read_text(self._data[offset + 5 : stop]), stop
        if kind in (_TABLE, _LIST):
            return self._read_container(kind, offset + 5, stop=stop, depth=depth), stop
        return self._read_rare(kind, offset + 1, stop), stop

    def skip_value(self, offset: int) -> int:
        """Return where a value ends."""
        kind = self._data[offset]
        if kind in _LONG:
            if offset + 5 > self._end:
                raise TableError
            stop = offset + 5 + _LENGTH.unpack_from(self._data, offset + 1)[0]
        elif kind in _FIXED:
            stop = offset + 1 + _FIXED[kind][1]
        elif kind in _SIZES:
            stop = offset + 1 + _SIZES[kind]
        else:
            raise TableError
        if stop > self._end:
            raise TableError
        return int(stop)

    def _read_rare(self, kind: int, offset: int, stop: int) -> Any:
        if kind == _NONE:
            return None
        if kind == _TIME:
            return _to_time(_TIMESTAMP.unpack_from(self._data, offset)[0])
        if kind == _DECIMAL:
            decimals, digits = _SCALED.unpack_from(self._data, offset)
            return Decimal(digits).scaleb(-decimals)
        return self._data[offset + 4 : stop]

    def _read_container(self, kind: int, offset: int, *, stop: int, depth: int) -> Any:
        """Return a table or list; its bytes where it cannot be read."""
        if depth >= _DEPTH:
            return self._data[offset:stop]
        inner = _Reader(self._data[offset:stop])
        inner._left = self._left
        try:
            return inner._read_table(depth + 1) if kind == _TABLE else inner._read_list(depth + 1)
        except TableError:
            return self._data[offset:stop]
        finally:
            self._left = inner._left

    def _read_table(self, depth: int) -> dict[Key, Any]:
        found: dict[Key, Any] = {}
        offset = 0
        while offset < self._end:
            name, offset = self.read_name(offset)
            found[name], offset = self.read_value(offset, depth)
        return found

    def _read_list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        offset = 0
        while offset < self._end:
            value, offset = self.read_value(offset, depth)
            found.append(value)
        return found


# Types of a fixed size that need more than to be unpacked.
_SIZES = {_NONE: 0, _TIME: 8, _DECIMAL: 5}


def _to_time(second: int) -> Any:
    """Return seconds since the epoch as a time in UTC; as they are where no calendar reaches them."""
    try:
        return datetime.fromtimestamp(second, UTC)
    except (ValueError, OverflowError, OSError):
        return second


def _encode_value(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"x" + _LENGTH.pack(len(value)) + value
    if isinstance(value, bool):
        return b"t" + bytes((value,))
    if value is None:
        return b"V"
    try:
        if isinstance(value, int):
            return _INT.pack(b"l", value)
        if isinstance(value, float) and value - value == 0:
            return _FLOAT.pack(b"d", value)
    except error:
        # An integer of more than 64 bits.
        pass
    if isinstance(value, tuple):
        items = b"".join(map(_encode_value, value))
        return b"A" + _LENGTH.pack(len(items)) + items
    data = to_bytes(str(value))
    return b"S" + _LENGTH.pack(len(data)) + data
