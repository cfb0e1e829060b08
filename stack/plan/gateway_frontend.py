"""The ports of the gateway: what leads where, and how many connections there may be at each."""

import json
from dataclasses import dataclass, replace
from functools import cached_property

from stack.config.settings import Settings
from stack.plan.broker import MANAGEMENT_PORT, METRICS_PORT
from stack.plan.tls import GATEWAY_HTTPS_PORT, HTTPS_PORT, MANAGEMENT_HTTPS_PORT

# The service of the pages and of Nuclio's REST API.
DASHBOARD, DASHBOARD_PORT = "dashboard", 8070
# The name by which Tidegate's own programs reach the gateway, on the network where no function is.
CONTROL_HOST = "gateway-control"
# Connections to the broker's management and figures; and those kept for the stack's own programs.
_TO_MANAGEMENT, _TO_METRICS, _TO_CONTROL = 512, 128, 512
# To the dashboard with TLS, and to MQTT over WebSocket; a process may not have many more files open everywhere.
_TO_DASHBOARD = 512
# To another place, where a bridge has a limit: a few connections, one after the other; the seconds that one is kept
# without a word, since both ends speak every few seconds; and the port of the first.
_TO_PLACE, _IDLE_LINE, FIRST_LINE = 8, 120, 5700
# Connections of one address that are let in beyond its number, to be told why they are refused.
_ANSWERED = 16
JSON, TEXT = "application/json", "text/plain"


@dataclass(frozen=True)
class Frontend:
    """One port of the gateway; `connections` is how many it takes at once, `per_address` how many of one address."""

    name: str
    port: int
    connections: int
    per_address: int
    content_type: str = TEXT
    secure_port: int = 0
    """The port at which it speaks TLS."""

    @property
    def is_public(self) -> bool:
        """Return whether it leads to functions, and so speaks JSON."""
        return self.content_type == JSON

    @property
    def reject_above(self) -> int:
        """Return how many connections of one address there may be before others are closed without an answer."""
        return self.per_address + _ANSWERED

    @property
    def crowded(self) -> str:
        """Return what an address with too many connections is told."""
        setting = ", or raise gateway.connections_per_address in stack.yaml" if self.is_public else ""
        return self.write(
            f"More than {self.per_address} connections at once come from this address; close some{setting}."
        )

    @property
    def misdirected(self) -> str:
        """Return what is told to who calls this machine by a name that it does not know."""
        return self.write(
            "This name is not known to be one of this machine; list it under dashboard.hosts in stack.yaml."
        )

    @property
    def absent(self) -> str:
        """Return what is told while the dashboard does not answer, or the broker."""
        if self.name == DASHBOARD:
            return self.write("The dashboard does not answer. `invoke status` tells how it is.")
        return self.broker_absent

    @property
    def broker_absent(self) -> str:
        """Return what is told while the broker does not answer."""
        return self.write("RabbitMQ does not answer. `invoke status` tells how it is, and `invoke up` starts it.")

    def write(self, message: str) -> str:
        """Return a message as a word of HAProxy's configuration; it has no apostrophe and no backslash."""
        text = json.dumps({"error": message}) if self.is_public else message
        return f"'{text}'"


@dataclass(frozen=True)
class Limits:
    """How many connections there may be, and how many seconds a client may take; `hold` is milliseconds."""

    public: Frontend
    broker: tuple[Frontend, ...]
    dashboard: Frontend | None = None
    """The dashboard with TLS, if there is TLS."""
    control: int = _TO_CONTROL
    head: int = 30
    body: int = 30
    idle: int = 60
    hold: int = 3_000
    lines: int = 0
    """How many ways to other places have a limit."""

    @property
    def _to_broker(self) -> int:
        return sum(one.connections for one in self.broker)

    @cached_property
    def total(self) -> int:
        """Return the connections of all frontends; a request that waits for a container has one more, to itself."""
        to_dashboard = self.dashboard.connections if self.dashboard else 0
        to_places = self.lines * _TO_PLACE
        return 2 * self.public.connections + self.control + self._to_broker + to_dashboard + to_places


@dataclass(frozen=True)
class Line:
    """A way through the gateway to another broker, which takes `rate` bytes a second of a connection."""

    name: str
    port: int
    address: str
    rate: int
    connections: int = _TO_PLACE
    idle: int = _IDLE_LINE


def find_lines(settings: Settings) -> tuple[Line, ...]:
    """Return the ways to other places that have a limit."""
    # By its place among all, so that a limit that is added leaves the others' ports alone.
    return tuple(
        Line(one.name, FIRST_LINE + number, one.authority, one.bytes_a_second)
        for number, one in enumerate(settings.bridge)
        if one.bytes_a_second
    )


def find_limits(settings: Settings, public_port: int) -> Limits:
    """Return the limits of a stack's gateway."""
    gateway, lines = settings.gateway, len(find_lines(settings))
    most, most_of_one = gateway.connections, gateway.connections_per_address
    public = Frontend("public", public_port, most, most_of_one, JSON)
    management = Frontend("management", MANAGEMENT_PORT, _TO_MANAGEMENT, _TO_MANAGEMENT // 2)
    metrics = Frontend("metrics", METRICS_PORT, _TO_METRICS, _TO_METRICS // 2)
    if not settings.tls.is_on:
        return Limits(public, (management, metrics), lines=lines)
    return Limits(
        replace(public, secure_port=GATEWAY_HTTPS_PORT),
        (replace(management, secure_port=MANAGEMENT_HTTPS_PORT), metrics),
        Frontend(DASHBOARD, 0, _TO_DASHBOARD, _TO_DASHBOARD // 2, secure_port=HTTPS_PORT),
        lines=lines,
    )
