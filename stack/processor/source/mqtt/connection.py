"""The connection of an MQTT session: what brings and acknowledges messages is read and written here, the rest by paho.

paho reads a packet in three pieces, makes an object with a lock of each message, and sends each acknowledgement by
itself, which takes longer than all else that is done for a message. Here what has arrived is read at once, and what is
to be sent goes with the next flush.

paho also takes a property that is no UTF-8, or holds what MQTT forbids, for the end of the connection; the broker,
which has passed it on, then delivers it again, for ever: what one publisher wrote would end the session of all. Here
such a text stays the bytes that it is, and what cannot be read at all ends the properties, not the message.
"""

from collections.abc import Iterator
from contextlib import suppress
from ssl import SSLWantReadError, SSLWantWriteError
from struct import Struct
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.processor.event import to_text
from stack.processor.message import MqttMessage

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

_PUBLISH, _PUBACK = 0x30, Struct(">BBH")
_SHORT = Struct(">H")
# That there is nothing to read yet.
_NOT_NOW = (BlockingIOError, SSLWantReadError, SSLWantWriteError)
# Bytes that are read at once: more than a broker usually has on its way to one client.
_READ_BYTES = 64 * 1024


class Publish(NamedTuple):
    """One message, as its packet says; `mid` is the packet's id, `is_again` that it was sent before."""

    topic: bytes
    payload: bytes
    mid: int
    qos: int
    is_retained: bool
    is_again: bool
    properties: dict[str, Any]


class Connection:
    """A connection as paho takes one, with a buffer on both ways."""

    def __init__(self, connection: "SocketLike", *, has_properties: bool) -> None:
        self._connection = connection
        self._has_properties = has_properties
        self._arrived = bytearray()
        # Of the next packet: where it begins, where what follows its head, and its end; zero while it is not all here.
        self._start = self._body = self._end = 0
        self._is_over = False
        self._unsent = bytearray()
        self.fileno, self.setblocking = connection.fileno, connection.setblocking

    def receive(self) -> bool:
        """Read what has arrived; return whether there is a packet, or the end of the connection, which paho reads."""
        del self._arrived[: self._start]
        self._start = 0
        try:
            while data := self._connection.recv(_READ_BYTES):
                self._arrived += data
                # Of what TLS has decrypted already, the kernel says nothing.
                if not getattr(self._connection, "pending", int)():
                    return self.has_packet()
        except _NOT_NOW:
            return self.has_packet()
        except OSError:
            pass
        self._is_over = True
        if not self.has_packet():
            self._end = 0
        return True

    def has_packet(self) -> bool:
        """Return whether a whole packet is here."""
        length, arrived = 0, self._arrived
        for place in range(4):
            at = self._start + 1 + place
            if at >= len(arrived):
                break
            length |= (arrived[at] & 0x7F) << 7 * place
            if arrived[at] < 0x80:
                self._body, self._end = at + 1, at + 1 + length
                return self._end <= len(arrived)
        else:
            # No packet has such a length; paho ends the connection.
            self._end, self._is_over = 0, True
            return True
        return False

    def take_publish(self) -> Publish | None:
        """Return the packet that is here if it brings a message, and leave it to paho otherwise.

        Left are also messages of QoS 2, which take a handshake, and what breaks MQTT's rules.
        """
        arrived, at, end = self._arrived, self._body, self._end
        kind = arrived[self._start] if end > self._start else 0
        qos = kind >> 1 & 3
        if kind & 0xF0 != _PUBLISH or qos > 1 or end < at + 2:
            return None
        topic, at = at + 2, at + 2 + _SHORT.unpack_from(arrived, at)[0]
        payload = at + 2 * qos
        if payload > end or (topic == at and not self._has_properties):
            return None
        properties: dict[str, Any] = {}
        if self._has_properties:
            properties, size = read_properties(bytes(arrived[payload:end]))
            payload += size
        self._start, self._end = end, 0
        return Publish(
            topic=bytes(arrived[topic:at]),
            payload=bytes(arrived[payload:end]),
            mid=_SHORT.unpack_from(arrived, at)[0] if qos else 0,
            qos=qos,
            is_retained=bool(kind & 1),
            is_again=bool(kind & 8),
            properties=properties,
        )

    def recv(self, size: int) -> bytes:
        """Return up to so many bytes of the packet that is left to paho; none at the end of the connection."""
        end = len(self._arrived) if self._is_over else self._end
        if self._start >= end:
            if not self._is_over:
                # paho would read on, and have a part of the next packet that is not all here.
                raise BlockingIOError
            return self._connection.recv(size)
        start, self._start = self._start, min(self._start + size, end)
        return bytes(self._arrived[start : self._start])

    def acknowledge(self, mid: int) -> None:
        """Acknowledge a message of QoS 1, with the next flush."""
        self._unsent += _PUBACK.pack(0x40, 2, mid)

    def send(self, data: bytes | bytearray) -> int:
        """Take what paho sends, for the next flush."""
        self._unsent += data
        return len(data)

    def flush(self) -> bool:
        """Send what the kernel takes; return whether that is all. A lost connection shows where it is read."""
        if self._unsent:
            with suppress(OSError):
                del self._unsent[: self._connection.send(self._unsent)]
        return not self._unsent

    def close(self) -> None:
        """Send what the kernel takes, and close the connection."""
        self.flush()
        self._unsent.clear()
        self._connection.close()


class BufferedClient(Client):
    """paho's client on such a connection: there is no other way to give it one than a method of its own."""

    def _create_socket(self) -> Connection:
        return Connection(super()._create_socket(), has_properties=self.protocol == MQTTProtocolVersion.MQTTv5)

    def socket(self) -> Connection | None:
        """Return the connection, unless there is none."""
        return cast(Connection | None, super().socket())


_FIXED = {"Byte": 1, "Two Byte Integer": 2, "Four Byte Integer": 4}
_MANY = "UserProperty"
# What a message may have, by paho's tables.
_KNOWN: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
_NAMES = {number: name.replace(" ", "") for name, number in _KNOWN.names.items()}


def read_properties(buffer: bytes) -> tuple[dict[str, Any], int]:
    """Read the properties at the beginning of some bytes; return them by their names, and how many bytes they take."""
    try:
        length, size = _read_variable(buffer)
    except IndexError:
        return {}, len(buffer)
    found: dict[str, Any] = {}
    for name, value in _read(buffer[size : size + length]):
        if name == _MANY:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found, min(size + length, len(buffer))


def _read(buffer: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each property, up to the first that cannot be read."""
    while buffer:
        try:
            number, size = _read_variable(buffer)
            kind = _KNOWN.types[_KNOWN.properties[number][0]]
            value, size_of_value = _read_value(buffer[size:], kind)
        except (IndexError, KeyError):
            return
        yield _NAMES[number], value
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


def read_message(publish: Publish) -> MqttMessage:
    """Return a packet as a message."""
    properties = publish.properties
    headers: dict[str, Any] = {to_text(name): value for name, value in properties.get("UserProperty", ())}
    headers["x-mqtt-publish-qos"] = publish.qos
    headers["x-mqtt-retain"] = publish.is_retained
    return MqttMessage(
        topic=to_text(publish.topic),
        payload=publish.payload,
        packet_id=publish.mid,
        headers=headers,
        content_type=to_text(properties.get("ContentType", "")),
        received=time(),
    )
