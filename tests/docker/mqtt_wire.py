"""MQTT as bytes: what no well-made client would send, within the protocol's framing."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _DISCONNECT = 0x10, 2, 0x32, 4, b"\xe0\x00"
# Reason codes of MQTT 5 from here on are refusals.
_REFUSED = b"\x80"
_TIMEOUT = 20.0


class ClosedError(Exception):
    """The broker has closed the connection."""


class MqttWire:
    """One connection of MQTT 3.1.1 (4) or 5; what is published is noted once the broker has acknowledged it."""

    def __init__(self, host: str, port: int, version: int, *, account: str = "guest", password: str = "guest") -> None:
        self.version = version
        self.acknowledged: set[int] = set()
        self.refused: set[int] = set()
        self._socket = socket.create_connection((host, port), _TIMEOUT)
        self._reader = self._socket.makefile("rb")
        flags = 0b1100_0010
        head = write_text(b"MQTT") + bytes([version, flags]) + b"\0\0" + (b"\0" if version == 5 else b"")
        login = write_text(account.encode()) + write_text(password.encode())
        self._socket.sendall(frame(_CONNECT, head + write_text(b"") + login))
        kind, rest = self._read()
        assert kind == _CONNACK and rest[1] == 0, quote(rest)

    def __enter__(self) -> "MqttWire":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.sendall(_DISCONNECT)
        self._reader.close()
        self._socket.close()

    def publish(self, packet_id: int, topic: bytes, payload: bytes, *, properties: bytes = b"") -> None:
        """Send a message of quality 1; properties are those of MQTT 5, without their length."""
        head = write_text(topic) + packet_id.to_bytes(2)
        if self.version == 5:
            head += write_number(len(properties)) + properties
        self._socket.sendall(frame(_PUBLISH, head + payload))

    def await_acknowledgements(self, wanted: set[int]) -> None:
        """Read until all are there.

        Raises:
            ClosedError: the broker has closed the connection; those of before are noted.
        """
        while wanted - self.acknowledged - self.refused:
            kind, rest = self._read()
            if kind == _PUBACK:
                is_refused = rest[2:3] >= _REFUSED
                (self.refused if is_refused else self.acknowledged).add(int.from_bytes(rest[:2]))

    def _read(self) -> tuple[int, bytes]:
        try:
            first = self._reader.read(1)
            size, place = 0, 0
            while first and ((byte := self._reader.read(1)[0]) & 0x80):
                size |= (byte & 0x7F) << (7 * place)
                place += 1
            rest = self._reader.read(size | (byte << (7 * place))) if first else b""
        except (ConnectionError, IndexError) as error:
            raise ClosedError from error
        if not first or first[0] >> 4 == 14:
            raise ClosedError
        return first[0] >> 4, rest


def frame(first: int, rest: bytes) -> bytes:
    return bytes([first]) + write_number(len(rest)) + rest


def write_text(text: bytes) -> bytes:
    return len(text).to_bytes(2) + text


def write_number(number: int) -> bytes:
    """Return a number as MQTT writes it: seven bits a byte."""
    return b"".join(_write(number))


def _write(number: int) -> Iterator[bytes]:
    while number > 0x7F:
        yield bytes([number & 0x7F | 0x80])
        number >>= 7
    yield bytes([number])
