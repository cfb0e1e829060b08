"""The parts of stack.yaml about the network: ports, at which addresses they are published, and TLS."""

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, ip_address
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from stack.config.document import Document

LOOPBACK = IPv4Address("127.0.0.1")
# Ports that there are with TLS only.
SECURE = ("mqtts", "amqps", "https", "gateway_https", "management_https")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")


def check_number(value: object) -> object:
    """Return a value as it is; true, as which YAML reads `yes`, pydantic would take for 1.

    Raises:
        ValueError: it is true or false.
    """
    if isinstance(value, bool):
        raise ValueError(f"should be a whole number, not {value!r}")
    return value


Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(check_number)]


class Ports(Document):
    """Ports of this machine at which the stack answers."""

    amqp: Port = 5672
    """The broker, for AMQP."""
    mqtt: Port = 1883
    """The broker, for MQTT."""
    management: Port = 9000
    """RabbitMQ's own pages and management API, through the gateway."""
    metrics: Port = 15692
    """The broker's metrics for Prometheus, through the gateway."""
    gateway: Port = 8080
    """Every HTTP function, at `/NAME/`."""
    dashboard: Port = 8070
    """The dashboard's pages, and Nuclio's REST API."""
    data: Port = 8428
    """The store of readings, where there is one."""
    grafana: Port = 8300
    """Grafana, where `data.grafana` asks for it."""
    mqtts: Port = 8883
    """With `tls`, the broker for MQTT over TLS."""
    amqps: Port = 5671
    """With `tls`, the broker for AMQP over TLS."""
    https: Port = 8443
    """With `tls`, the dashboard, and at `/mqtt` the broker for MQTT over WebSocket, as browsers speak it."""
    gateway_https: Port = Field(8444, alias="gateway_https")
    """With `tls`, every HTTP function, at `/NAME/`."""
    management_https: Port = Field(9443, alias="management_https")
    """With `tls`, RabbitMQ's own pages and management API."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        self.check([key for key in type(self).model_fields if key not in SECURE or key in self.model_fields_set])
        return self

    def check(self, keys: Collection[str], others: Mapping[int, str] = MappingProxyType({})) -> None:
        """Make sure that some ports differ, also from others, which are called so.

        Raises:
            ValueError: two of them are the same.
        """
        taken = dict(others)
        for key in keys:
            port = getattr(self, key)
            if port in taken:
                raise ValueError(f"{taken[port]} and {key} are both {port}; give one of them another port")
            taken[port] = key


def _check_plain(address: IPv4Address) -> IPv4Address:
    if address not in (LOOPBACK, IPv4Address("0.0.0.0")):
        raise ValueError(f"should be {LOOPBACK}, where the stack's own tasks use it, or 0.0.0.0, not '{address}'")
    return address


_Plain = Annotated[IPv4Address, AfterValidator(_check_plain)]


class Bind(Document):
    """Where each port is published, such as {mqtts: 0.0.0.0}; what is not named here only this machine reaches."""

    amqp: _Plain = LOOPBACK
    """Without TLS."""
    mqtt: _Plain = LOOPBACK
    """Without TLS."""
    management: _Plain = LOOPBACK
    """Without TLS."""
    metrics: _Plain = LOOPBACK
    """Without TLS."""
    gateway: _Plain = LOOPBACK
    """Without TLS; also the ports that functions have of their own."""
    dashboard: _Plain = LOOPBACK
    """Without TLS."""
    data: _Plain = LOOPBACK
    """Without TLS."""
    grafana: _Plain = LOOPBACK
    """Without TLS."""
    mqtts: IPv4Address = LOOPBACK
    """With TLS."""
    amqps: IPv4Address = LOOPBACK
    """With TLS."""
    https: IPv4Address = LOOPBACK
    """With TLS: the dashboard, and MQTT over WebSocket."""
    gateway_https: IPv4Address = Field(LOOPBACK, alias="gateway_https")
    """With TLS."""
    management_https: IPv4Address = Field(LOOPBACK, alias="management_https")
    """With TLS."""


_ONE, _MANY = "address", "ports"


def _tell_apart(value: Any) -> str:
    return _MANY if isinstance(value, dict | Bind) else _ONE


Addresses = Annotated[
    Annotated[IPv4Address, Tag(_ONE)] | Annotated[Bind, Tag(_MANY)],
    Discriminator(_tell_apart),
]


def check_server_name(text: str) -> str:
    """Return the name or the address of a server as it is.

    Raises:
        ValueError: it is none.
    """
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address and "%" not in text:
        return str(address)
    if not _NAME.fullmatch(text):
        raise ValueError(f"should be a name such as tidegate.local, or an address, not {text!r}")
    return text.lower()


class Tls(Document):
    """Ports with TLS, beside those without it; any of these keys turns it on."""

    enabled: bool | None = None
    """Have ports with TLS, by a certificate of the stack's own authority for the names and addresses of this
    machine; with false there are none, whatever the other keys are."""
    names: tuple[Annotated[str, AfterValidator(check_server_name)], ...] = Field((), max_length=50)
    """More names and addresses by which devices and browsers call this machine, such as tidegate.local."""
    certificate: str = ""
    """The file of a certificate of your own, with those between it and its authority after it (PEM)."""
    key: str = ""
    """The file of its key, without a passphrase (PEM)."""

    @property
    def is_on(self) -> bool:
        """Return whether there are ports with TLS."""
        return bool(self.names or self.certificate) if self.enabled is None else self.enabled

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together; name the files of both")
        return self
