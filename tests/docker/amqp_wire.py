"""AMQP 0-9-1 written by hand onto a socket: a publisher whose properties and headers are whatever bytes one likes."""

import socket
import struct
from types import TracebackType
from urllib.parse import unquote, urlsplit

_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_PUBLISH, _ACK, _NACK, _RETURN = (60, 40), (60, 80), (60, 120), (60, 50)
_CHANNEL_CLOSE, _CONNECTION_CLOSE = (20, 40), (10, 50)
_BASIC = 60


class RefusedError(Exception):
    """The broker has closed the channel or the connection, and says why."""


class Wire:
    """One connection with one channel, on which the broker confirms what is published."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        user, password = (unquote(part or "").encode() for part in (address.username, address.password))
        self._socket = socket.create_connection((address.hostname or "", address.port or 5672), timeout=30)
        self._reader = self._socket.makefile("rb")
        self._published = 0
        self._unconfirmed: set[int] = set()
        self._socket.sendall(b"AMQP\0\0\x09\x01")
        self._expect(10, 10)
        self._call(0, 10, 11, table() + short(b"PLAIN") + long(b"\0" + user + b"\0" + password) + short(b"en_US"))
        tune = self._expect(10, 30)
        self.frame_max: int = struct.unpack(">I", tune[2:6])[0]
        self._call(0, 10, 31, tune[:6] + b"\0\0")
        self._call(0, 10, 40, short(b"/") + short(b"") + b"\0")
        self._expect(10, 41)
        self._call(1, 20, 10, short(b""))
        self._expect(20, 11)
        self._call(1, 85, 10, b"\0")
        self._expect(85, 11)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._reader.close()
        self._socket.close()

    def publish(self, exchange: bytes, key: bytes, properties: bytes, body: bytes) -> int:
        """Publish a message with properties as they are on the wire: flags, and what they say; return its number."""
        head = struct.pack(">HHQ", _BASIC, 0, len(body)) + properties
        pieces = [frame(_METHOD, 1, struct.pack(">HHH", *_PUBLISH, 0) + short(exchange) + short(key) + b"\0")]
        pieces.append(frame(_HEADER, 1, head))
        most = self.frame_max - 8
        pieces += [frame(_BODY, 1, body[start : start + most]) for start in range(0, len(body), most)]
        self._published += 1
        self._unconfirmed.add(self._published)
        self._socket.sendall(b"".join(pieces))
        return self._published

    def await_confirms(self) -> None:
        """Wait until the broker has confirmed all.

        Raises:
            RefusedError: it refused one, and has forgotten the connection or the channel.
        """
        while self._unconfirmed:
            method, payload = self._read()
            if method == _ACK:
                tag, multiple = struct.unpack(">QB", payload[:9])
                self._unconfirmed -= {one for one in self._unconfirmed if one == tag or (multiple and one < tag)}
            elif method in (_CHANNEL_CLOSE, _CONNECTION_CLOSE, _NACK):
                raise RefusedError(payload[3:].decode(errors="replace"))

    def is_confirmed(self, number: int) -> bool:
        return number not in self._unconfirmed

    def _call(self, channel: int, class_id: int, method_id: int, arguments: bytes) -> None:
        self._socket.sendall(frame(_METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments))

    def _expect(self, class_id: int, method_id: int) -> bytes:
        method, payload = self._read()
        assert method == (class_id, method_id), (method, payload)
        return payload

    def _read(self) -> tuple[tuple[int, int], bytes]:
        """Return the next method and its arguments."""
        while True:
            head = self._reader.read(7)
            if len(head) < 7:
                raise RefusedError("the connection has ended")
            kind, _, size = struct.unpack(">BHI", head)
            payload = self._reader.read(size + 1)[:-1]
            if kind == _METHOD:
                class_id, method_id = struct.unpack(">HH", payload[:4])
                return (class_id, method_id), payload[4:]


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + _END


def short(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def long(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def table(*entries: bytes) -> bytes:
    return long(b"".join(entries))


def entry(name: bytes, value: bytes) -> bytes:
    return short(name) + value


def headers(*entries: bytes) -> bytes:
    """Return properties that hold nothing but headers."""
    return struct.pack(">H", 1 << 13) + table(*entries)
