"""Properties of MQTT 5, read however odd: what one publisher wrote is not to end the session of all.

paho takes a text that is no UTF-8, or holds what MQTT forbids, for the end of the connection; the broker, which has
passed it on, then delivers it again, for ever. Here such a text stays the bytes that it is, and what cannot be read at
all ends the properties, not the message.
"""

from collections.abc import Iterator
from typing import Any

from paho.mqtt.properties import Properties

_FIXED = {"Byte": 1, "Two Byte Integer": 2, "Four Byte Integer": 4}
_MANY = "UserProperty"


def read_leniently() -> None:
    """Have paho read properties so, in this process: no setting of its own does it."""
    Properties.unpack = unpack  # type: ignore[method-assign]


def unpack(properties: Properties, buffer: bytes) -> tuple[Properties, int]:
    """Read the properties at the beginning of a packet's rest; return them and how many bytes they take."""
    properties.clear()  # type: ignore[no-untyped-call]
    try:
        length, size = _read_variable(buffer)
    except IndexError:
        return properties, len(buffer)
    pairs = []
    for name, value in _read(properties, buffer[size : size + length]):
        if name == _MANY:
            pairs.append(value)
        else:
            object.__setattr__(properties, name, value)
    if pairs:
        object.__setattr__(properties, _MANY, pairs)
    return properties, min(size + length, len(buffer))


def _read(properties: Properties, buffer: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each property, up to the first that cannot be read."""
    names = {number: name.replace(" ", "") for name, number in properties.names.items()}
    while buffer:
        try:
            number, size = _read_variable(buffer)
            kind = properties.types[properties.properties[number][0]]
            value, size_of_value = _read_value(buffer[size:], kind)
        except (IndexError, KeyError):
            return
        yield names[number], value
        buffer = buffer[size + size_of_value :]


def _read_value(buffer: bytes, kind: str) -> tuple[Any, int]:
    """Return a value and its size; IndexError where the buffer ends before it."""
    if size := _FIXED.get(kind):
        return int.from_bytes(_cut(buffer, 0, size)), size
    if kind == "Variable Byte Integer":
        return _read_variable(buffer)
    value, size = _read_bytes(buffer)
    if kind == "Binary Data":
        return value, size
    if kind == "UTF-8 Encoded String":
        return _to_text(value), size
    second, size_of_second = _read_bytes(buffer[size:])
    return (_to_text(value), _to_text(second)), size + size_of_second


def _read_bytes(buffer: bytes) -> tuple[bytes, int]:
    length = int.from_bytes(_cut(buffer, 0, 2))
    return _cut(buffer, 2, length), 2 + length


def _read_variable(buffer: bytes) -> tuple[int, int]:
    """Return a number of up to four bytes, seven bits in each, and how many there are."""
    number = 0
    for place in range(4):
        number |= (buffer[place] & 0x7F) << (7 * place)
        if not buffer[place] & 0x80:
            return number, place + 1
    raise IndexError


def _cut(buffer: bytes, start: int, size: int) -> bytes:
    if start + size > len(buffer):
        raise IndexError
    return bytes(buffer[start : start + size])


def _to_text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
