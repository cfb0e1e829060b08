"""The gateway's frontends: how many clients each takes, by which names, and what it says to those it refuses."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from stack.config.settings import Settings
from stack.plan.broker import MANAGEMENT_PORT, METRICS_PORT

# Names of this machine, and of the gateway within the stack, that go without saying.
_OWN_NAMES = ("localhost", "gateway")
_NAME = re.compile(r"[a-z0-9._-]+")
# Names below localhost, and addresses of both kinds.
_FORMS = ("([a-z0-9_-]+[.])+localhost", "[0-9]{1,3}([.][0-9]{1,3}){3}", r"\[[0-9a-f:.]+\]")
# Connections to the broker's management and figures; and those kept for processors and the stack's own programs.
_TO_MANAGEMENT, _TO_METRICS, _TO_CONTROL = 512, 128, 512
# Connections of one address that are let in beyond its number, to be told why they are refused.
_TOLD = 16
JSON, TEXT = "application/json", "text/plain"


@dataclass(frozen=True)
class Frontend:
    """One port of the gateway; `connections` is how many it takes at once, `per_address` how many of one address."""

    name: str
    port: int
    connections: int
    per_address: int
    content_type: str = TEXT

    @property
    def is_public(self) -> bool:
        """Say whether it leads to functions, and so speaks JSON."""
        return self.content_type == JSON

    @property
    def per_address_told(self) -> int:
        """Return from how many connections of one address on it hears nothing any more."""
        return self.per_address + _TOLD

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
    registration: int = _TO_CONTROL
    control: int = _TO_CONTROL
    head: int = 30
    body: int = 30
    idle: int = 60
    hold: int = 3_000

    @property
    def _to_broker(self) -> int:
        return sum(one.connections for one in self.broker)

    @cached_property
    def total(self) -> int:
        """Return the connections of all frontends; a request that waits for a container has one more, to itself."""
        return 2 * self.public.connections + self.registration + self.control + self._to_broker


def find_limits(settings: Settings, public_port: int) -> Limits:
    """Return the limits of a stack's gateway."""
    gateway = settings.gateway
    public = Frontend("public", public_port, gateway.connections, gateway.connections_per_address, JSON)
    broker = (("management", MANAGEMENT_PORT, _TO_MANAGEMENT), ("metrics", METRICS_PORT, _TO_METRICS))
    return Limits(public, tuple(Frontend(name, port, most, most // 2) for name, port, most in broker))


def host_pattern(names: Collection[str]) -> str:
    """Return the regular expression of the Host headers that are answered, in any case, as a word of HAProxy's.

    A web page of another site can have its own name lead to this machine (DNS rebinding), but no address.
    """
    known = sorted({name.lower().rstrip(".") for name in (*_OWN_NAMES, *names)})
    own = "|".join((*(name.replace(".", "[.]") for name in known if _NAME.fullmatch(name)), *_FORMS))
    return f"'^({own})[.]?(:[0-9]*)?$'"
