"""The client of an MQTT session: where its broker is, and properties of MQTT 5, read however odd.

paho takes a text that is no UTF-8, or holds what MQTT forbids, for the end of the connection; the broker, which has
passed it on, then delivers it again, for ever: what one publisher wrote would end the session of all. Here such a text
stays the bytes that it is, and what cannot be read at all ends the properties, not the message.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

from paho.mqtt.client import Client, MQTTv5, MQTTv31, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.source.broker import open_tls

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

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


_VERSIONS: dict[int, MQTTProtocolVersion] = {3: MQTTv31, 4: MQTTv311, 5: MQTTv5}
# The URL schemes of Nuclio and paho: whether each is over TLS, its transport, and its port.
_SCHEMES = {
    "tcp": (False, "tcp", 1883),
    "mqtt": (False, "tcp", 1883),
    "ssl": (True, "tcp", 8883),
    "tls": (True, "tcp", 8883),
    "mqtts": (True, "tcp", 8883),
    "ws": (False, "websockets", 80),
    "wss": (True, "websockets", 443),
}
_WEB_PATH = "/mqtt"
_KEEP_ALIVE = 30
# Seconds that a broker keeps an MQTT 5 session without a connection.
_SESSION_EXPIRY = 24 * 3600


@dataclass(frozen=True)
class Address:
    """A broker, as a trigger's URL names it."""

    is_secure: bool
    transport: str
    host: str
    port: int
    path: str
    username: str
    password: str


def read_address(trigger: Trigger) -> Address:
    """Read a trigger's URL; one without a scheme is over plain TCP, as with Nuclio.

    Raises:
        ConfigurationError: it is not the URL of an MQTT broker.
    """
    parts = urlsplit(trigger.url if "://" in trigger.url else f"tcp://{trigger.url}")
    where = f"spec.triggers.{trigger.name}.url"
    if parts.scheme not in _SCHEMES or not parts.hostname:
        schemes = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise ConfigurationError(f"{where}: {trigger.url_to_show!r} should be host:port after one of {schemes}")
    is_secure, transport, port = _SCHEMES[parts.scheme]
    username, password = _read_account(trigger, parts)
    try:
        port = parts.port or port
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return Address(is_secure, transport, parts.hostname, port, parts.path or _WEB_PATH, username, password)


# Bytes that are read at once: more than a broker usually has on its way to one client.
_READ_BYTES = 64 * 1024


class BufferedSocket:
    """A connection that reads all that has arrived, and sends when it is flushed.

    paho reads each packet in three pieces, and sends each by itself: three calls of the kernel, and a fourth, for a
    message of a few bytes.
    """

    def __init__(self, connection: "SocketLike") -> None:
        self._connection = connection
        self._arrived, self._start = b"", 0
        self._unsent = bytearray()
        self.fileno, self.setblocking = connection.fileno, connection.setblocking

    @property
    def is_sent(self) -> bool:
        """Return whether nothing waits to be sent."""
        return not self._unsent

    def recv(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end."""
        if self._start == len(self._arrived):
            self._arrived, self._start = self._connection.recv(max(size, _READ_BYTES)), 0
        start, self._start = self._start, min(self._start + size, len(self._arrived))
        return self._arrived[start : self._start]

    def pending(self) -> int:
        """Return how many bytes can be read of which the kernel says nothing any more; also paho asks for that."""
        return len(self._arrived) - self._start + getattr(self._connection, "pending", int)()

    def send(self, data: bytes | bytearray) -> int:
        """Take all of the bytes, for the next flush."""
        self._unsent += data
        return len(data)

    def flush(self) -> None:
        """Send what the kernel takes now; that a connection is lost shows where it is read."""
        if self._unsent:
            with suppress(OSError):
                del self._unsent[: self._connection.send(self._unsent)]

    def close(self) -> None:
        """Send what the kernel takes, and close the connection."""
        self.flush()
        self._unsent.clear()
        self._connection.close()


class BufferedClient(Client):
    """paho's client on such a connection: there is no other way to give it one than a method of its own."""

    def _create_socket(self) -> BufferedSocket:
        return BufferedSocket(super()._create_socket())

    def socket(self) -> BufferedSocket | None:
        """Return the connection, unless there is none."""
        return cast(BufferedSocket | None, super().socket())


def open_client(trigger: Trigger, function: Function, address: Address) -> BufferedClient:
    """Return a client, not connected yet, whose session the broker keeps and which acknowledges by hand."""
    read_leniently()
    attributes = trigger.attributes
    version = attributes.integer("protocolVersion", 4)
    if version not in _VERSIONS:
        raise ConfigurationError(f"{attributes.path}.protocolVersion: should be 3, 4 or 5, not {version}")
    client = BufferedClient(
        CallbackAPIVersion.VERSION2,
        client_id=attributes.text("clientID") or f"nuclio-{function.namespace}-{function.name}-{trigger.name}",
        clean_session=None if version == 5 else False,
        protocol=_VERSIONS[version],
        transport=address.transport,  # type: ignore[arg-type]
        manual_ack=True,
        reconnect_on_failure=False,
    )
    if address.username:
        client.username_pw_set(address.username, address.password or None)
    if address.is_secure:
        client.tls_set_context(open_tls(attributes))
    client.ws_set_options(address.path)
    return client


def connect(client: Client, address: Address) -> MQTTErrorCode:
    """Connect, to the session that the broker has kept if it has one."""
    if client.protocol != MQTTv5:
        return client.connect(address.host, address.port, _KEEP_ALIVE)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = _SESSION_EXPIRY
    return client.connect(address.host, address.port, _KEEP_ALIVE, clean_start=False, properties=properties)


def _read_account(trigger: Trigger, parts: SplitResult) -> tuple[str, str]:
    """Return name and password: the trigger's own, else those in its URL."""
    if trigger.username:
        return trigger.username, trigger.password
    return unquote(parts.username or ""), unquote(parts.password or "")
