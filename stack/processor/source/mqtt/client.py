"""The client of an MQTT session: where its broker is, and how it connects."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from paho.mqtt.client import MQTTv5, MQTTv31, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.source.broker import open_tls
from stack.processor.source.mqtt.connection import BufferedClient

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


def open_client(trigger: Trigger, function: Function, address: Address) -> BufferedClient:
    """Return a client, not connected yet, whose session the broker keeps and which acknowledges by hand."""
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


def connect(client: BufferedClient, address: Address) -> MQTTErrorCode:
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
