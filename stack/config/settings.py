"""stack.yaml: what the user wants of the whole stack."""

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from stack.config.allow import Allow, find_rulers
from stack.config.bridge import Bridge, check_bridges, check_place_name
from stack.config.broker import Broker, DeadLetters, Logger, Queue
from stack.config.data import Data
from stack.config.device import expand_rules
from stack.config.document import Document, parse_model
from stack.config.network import LOOPBACK, SECURE, Addresses, Bind, Ports, Tls
from stack.config.notify import Notify
from stack.config.problem import refuse
from stack.config.swarm import Swarm
from stack.config.value import BaseName, Duration, Mirror, Registry, check_memory
from stack.config.yaml_loader import read_mapping
from stack.errors import ConfigError

FILE = "stack.yaml"

# What browsers tell of the page that sends a request.
_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+")
# The name of a host, as browsers send it.
_HOST = re.compile(r"[A-Za-z0-9._-]+")

# Where it depends on `bind`.
AUTO: Literal["auto"] = "auto"
ALWAYS: Literal["always"] = "always"

# No disk of a machine has more, and Docker counts bytes in 64 bits.
_MOST_MEGABYTES = 1_000_000
# The project's name is also that of the place and of a namespace of Kubernetes, which have no more letters.
_MOST_LETTERS = 63

IpNetwork = IPv4Network | IPv6Network


class ImageSource(StrEnum):
    """Where base images come from."""

    AUTO = "auto"
    REGISTRY = "registry"
    DEBIAN = "debian"


class Processor(StrEnum):
    """What runs the handlers."""

    TIDEGATE = "tidegate"
    NUCLIO = "nuclio"


class Implementation(StrEnum):
    """Whose dashboard it is."""

    TIDEGATE = "tidegate"
    NUCLIO = "nuclio"


class Images(Document):
    """How images are made, and from which bases."""

    source: ImageSource = ImageSource.AUTO
    """`registry` pulls, `debian` builds from this system's packages, `auto` asks the registry and falls back."""
    mirror: Mirror = ""
    """Put before the name of every image that is pulled, such as mirror.example:5000/."""
    ca: str = ""
    """A file of certificates that builds trust, handed over as a BuildKit secret and copied into no image; empty is
    this machine's own bundle, if pip or curl are told of one."""
    python: BaseName = "python:3.13-slim"
    """The base of functions and of Tidegate's own programs."""
    node: BaseName = "node:22-slim"
    """What functions of the runtime nodejs have their Node.js from; of another version where they name one."""
    rabbitmq: BaseName = "rabbitmq:4.3-management"
    """The broker."""
    haproxy: BaseName = "haproxy:3.2"
    """The gateway."""
    victoria_metrics: BaseName = Field("victoriametrics/victoria-metrics:v1.112.0", alias="victoria_metrics")
    """The store of readings."""
    vmalert: BaseName = "victoriametrics/vmalert:v1.112.0"
    """What calculates alerts."""
    alertmanager: BaseName = "prom/alertmanager:v0.28.1"
    """What tells people of alerts."""
    grafana: BaseName = "grafana/grafana:12.0.2"
    """Grafana, where `data.grafana` asks for it."""
    registry: Registry = ""
    """Where the machines of a Swarm have all images from, which are pushed there, such as registry.example:5000/team;
    empty is a registry of the stack's own, on the machine that has the workspace."""
    registry_server: BaseName = Field("registry:3", alias="registry_server")
    """That registry."""
    nuclio: str = Field("1.13.0", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
    """The release of Nuclio whose processor is taken where `processor` is nuclio."""


class Downloads(Document):
    """How much a function's code may be, fetched and unpacked, and how long it may take to fetch."""

    megabytes: int = Field(200, ge=1)
    """The size of what is fetched, and of what it unpacks to."""
    seconds: int = Field(120, ge=1)
    """How long it may take to fetch."""

    @property
    def bytes(self) -> int:
        """Return the size in bytes."""
        return self.megabytes * 1000 * 1000


class Logs(Document):
    """What Docker keeps of the output of each container."""

    megabytes: int = Field(10, ge=1, le=_MOST_MEGABYTES)
    """The size of one file; with a full one the next begins, and the oldest of three goes."""


class Defaults(Document):
    """The limits of a function that sets none of its own, so that a leak or a fork bomb ends its container only."""

    memory: str = "1Gi"
    """In the notation of Kubernetes; a function's own is resources.limits.memory. 0 sets no limit."""
    pids: int = Field(512, ge=32, le=4_194_304)
    """How many processes and threads a container may have; the processor itself needs about ten."""
    event_timeout: Duration = Field("10m", alias="event_timeout")
    """How long an event may take in a function whose eventTimeout says nothing; 0s sets no limit."""

    @field_validator("memory")
    @classmethod
    def _is_memory(cls, value: str) -> str:
        return check_memory(value)


class Dashboard(Document):
    """The dashboard: Tidegate's own, or Nuclio's where its registry can be reached."""

    implementation: Implementation = Implementation.TIDEGATE
    """`nuclio` runs Nuclio's own dashboard, where its registry can be reached; it has no login."""
    login: Literal["auto", "always"] = AUTO
    """auto asks for a login where `bind` opens the dashboard to other machines, always on this machine too."""
    session_hours: int = Field(12, ge=1, le=8760, alias="session_hours")
    """How long a login lasts."""
    proxies: tuple[IpNetwork, ...] = ()
    """Addresses and networks of proxies that are believed whom they speak for (X-Forwarded-For, X-Forwarded-Proto)."""
    hosts: tuple[str, ...] = ()
    """More names by which browsers may call this machine; its own name and addresses go without saying."""
    origins: tuple[str, ...] = ()
    """Other sites whose pages may use the API, such as http://localhost:3000."""

    @model_validator(mode="after")
    def _can_log_in(self) -> "Dashboard":
        if self.login == ALWAYS and self.implementation is Implementation.NUCLIO:
            raise ValueError("login: always needs implementation: tidegate; Nuclio's dashboard has no login")
        return self

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not _HOST.fullmatch(one)]:
            raise ValueError(f"should be a host name without a port, such as plant.example, not {wrong[0]!r}")
        return value

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not _ORIGIN.fullmatch(one)]:
            raise ValueError(
                f"should be a site's scheme, name and port, such as http://localhost:3000, not {wrong[0]!r}"
            )
        return value


class Gateway(Document):
    """The gateway: which login it asks for, how many connections it takes at once, and how many of one address."""

    login: Literal["auto", "none", "basic", "bearer", "any"] = AUTO
    """What HTTP functions and the broker's /metrics ask for; auto is any where `bind` opens one of their ports to other
    machines, and none otherwise."""
    connections: int = Field(4096, ge=64, le=65536)
    """Connections at once; the gateway's own control, the management and the metrics have room beside them."""
    connections_per_address: int = Field(1024, ge=1, le=1_000_000, alias="connections_per_address")
    """Connections of one address at once; programs of this machine, and what is behind one proxy, have one."""


class Settings(Document):
    """Everything in stack.yaml; each key is optional."""

    project: str = "tidegate"
    """The Compose project: the name before every container, network and volume."""
    namespace: str = "nuclio"
    """The namespace that functions see."""
    engine: Literal["compose", "swarm"] = "compose"
    """What runs the containers: Docker Compose, on this machine, or Docker Swarm, on several."""
    swarm: Swarm = Swarm.model_construct()
    bind: Addresses = LOOPBACK
    """Where ports are published: one address for all, or one for each, such as {mqtts: 0.0.0.0}; anything wider than
    this machine needs `invoke credentials`, and `tls` or `plaintext`."""
    ports: Ports = Ports.model_construct()
    tls: Tls = Tls.model_construct()
    plaintext: bool = False
    """Let other machines use ports without TLS too, where `bind` says so; what is sent there, passwords too, can be
    read on its way. Without it those ports are this machine's alone."""
    images: Images = Images.model_construct()
    downloads: Downloads = Downloads.model_construct()
    logs: Logs = Logs.model_construct()
    defaults: Defaults = Defaults.model_construct()
    dashboard: Dashboard = Dashboard.model_construct()
    broker: Broker = Broker.model_construct()
    queue: Queue = Queue.model_construct()
    dead_letters: DeadLetters = Field(DeadLetters.model_construct(), alias="dead_letters")
    logger: Logger = Logger.model_construct()
    data: Data = Data.model_construct()
    notify: Notify = Notify.model_construct()
    site: Annotated[str, AfterValidator(check_place_name)] = ""
    """What other places call this one, where `bridge` connects them; the project's name where left out."""
    bridge: tuple[Bridge, ...] = ()
    """Other places to which messages go, and from which they come, also after a line was cut."""
    gateway: Gateway = Gateway.model_construct()
    processor: Processor = Processor.TIDEGATE
    """What runs the handlers; `nuclio` is the original, where its registry can be reached. A function's annotation
    tidegate.io/processor chooses for it."""
    allow: Allow = Allow.model_construct()
    revisions: int = Field(5, ge=1)
    """How many revisions of a function are kept, the one that runs included."""

    @field_validator("project", "namespace")
    @classmethod
    def _compose_name(cls, value: str) -> str:
        if not value or not value[0].isalnum() or not all(c.isdigit() or c in "-_" or "a" <= c <= "z" for c in value):
            raise ValueError("should be lower-case letters, digits, - and _, and start with a letter or digit")
        if len(value) > _MOST_LETTERS:
            raise ValueError(f"should have at most {_MOST_LETTERS} letters, not {len(value)}")
        return value

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        if self.tls.is_on:
            self.ports.check(list(Ports.model_fields))
        elif isinstance(self.bind, Bind) and (wide := [one for one in SECURE if not self.get_address(one).is_loopback]):
            raise ValueError(f"bind.{wide[0]}: there is such a port with TLS only; add `tls: {{enabled: true}}`")
        if self.has_own_registry:
            self._check_registry()
        refuse(self, check_bridges(self.bridge, self.site_name))
        if self.broker.nodes > 1 and not self.is_swarm:
            raise ValueError(
                f"broker.nodes: {self.broker.nodes} nodes are on as many machines, for which write `engine: swarm`; or "
                "leave the key out"
            )
        return self

    def _check_registry(self) -> None:
        keys = [one for one in Ports.model_fields if one not in SECURE or self.tls.is_on]
        first = self.swarm.registry
        self.ports.check(keys, {first: "swarm.registry", first + 1: "swarm.registry + 1"})

    @property
    def is_swarm(self) -> bool:
        """Return whether the containers are those of Docker Swarm."""
        return self.engine == "swarm"

    @property
    def site_name(self) -> str:
        """Return what other places call this one."""
        return self.site or self.project

    @property
    def has_own_registry(self) -> bool:
        """Return whether the stack has a registry of its own, from which the machines of a Swarm have all images."""
        return self.is_swarm and not self.images.registry

    @property
    def has_store(self) -> bool:
        """Return whether there is a store: of readings, or of the stack's own figures, which are watched."""
        return self.data.is_kept or self.notify.is_about_stack

    @property
    def dashboard_url(self) -> str:
        """Return where people find the dashboard; nothing where it is Nuclio's, which has no charts."""
        if self.dashboard.implementation is Implementation.NUCLIO:
            return ""
        own = f"http://{self.host}:{self.ports.dashboard}"
        if self.tls.names and self.is_open("https"):
            name = self.tls.names[0]
            own = f"https://{f'[{name}]' if ':' in name else name}:{self.ports.https}"
        return self.notify.url.rstrip("/") or own

    def get_address(self, port: str) -> IPv4Address:
        """Return the address at which a port is published; a wide one has TLS, where there is TLS."""
        if isinstance(self.bind, Bind):
            return IPv4Address(getattr(self.bind, port))
        is_kept_in = self.tls.is_on and port not in SECURE and not (self.plaintext or self.bind.is_loopback)
        return LOOPBACK if is_kept_in else self.bind

    def list_ports(self) -> list[str]:
        """Return the ports that are published."""
        left_out = {
            *(SECURE if not self.tls.is_on else ()),
            *(("data",) if not self.has_store else ()),
            *(("grafana",) if not self.data.grafana else ()),
        }
        return [one for one in Ports.model_fields if one not in left_out]

    def is_open(self, *ports: str) -> bool:
        """Return whether other machines can reach one of some ports."""
        return any(not self.get_address(one).is_loopback for one in ports if self.tls.is_on or one not in SECURE)

    def describe_bind(self) -> str:
        """Return the key `bind` as it is told of: with what lets other machines in."""
        if not isinstance(self.bind, Bind):
            return f"bind: {self.bind}"
        wide = [f"{one}: {self.get_address(one)}" for one in Ports.model_fields if self.is_open(one)]
        return f"bind: {{{', '.join(wide)}}}"

    @property
    def open_plain_ports(self) -> list[str]:
        """Return which ports without TLS other machines can reach."""
        return [one for one in Ports.model_fields if one not in SECURE and self.is_open(one)]

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can reach the published ports."""
        return not self.is_open(*Ports.model_fields)

    @property
    def has_dashboard_login(self) -> bool:
        """Return whether the dashboard asks for a login."""
        return self.dashboard.login == ALWAYS or self.is_open("dashboard", "https")

    @property
    def session_cookie(self) -> str:
        """Return the name of the cookie by which the dashboard knows a browser."""
        return f"{self.project}-session"

    @property
    def host(self) -> str:
        """Return the address at which this machine itself reaches the ports without TLS."""
        address = self.get_address("gateway")
        return str(LOOPBACK if address.is_unspecified else address)


def load_settings(folder: Path) -> Settings:
    """Read stack.yaml of a workspace; without the file every setting has its default.

    Raises:
        ConfigError: the file is not YAML or a setting is wrong; every problem is named with its path.
    """
    path = folder / FILE
    if not path.exists():
        return Settings()
    settings = parse_model(Settings, read_mapping(path, FILE), name=FILE)
    if problems := find_rulers(settings.allow, folder):
        raise ConfigError([f"{FILE}: {problem}" for problem in problems])
    if any(rule.devices for rule in settings.data.keep):
        kept = settings.data.model_copy(update={"keep": expand_rules(settings.data.keep, folder)})
        return settings.model_copy(update={"data": kept})
    return settings
