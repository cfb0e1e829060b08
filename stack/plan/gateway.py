"""The gateway: one address for all HTTP functions, each at a path that begins with its name."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stack.config.settings import AUTO, Settings
from stack.contract import ALERTER
from stack.errors import ConfigError
from stack.plan.broker import find_host, is_node
from stack.plan.function import FunctionPlan, service_name
from stack.plan.gateway_frontend import (
    CONTROL_HOST,
    DASHBOARD,
    DASHBOARD_PORT,
    JSON,
    TEXT,
    Frontend,
    find_limits,
    find_lines,
)
from stack.plan.image import digest
from stack.plan.stack import Service, is_nuclio
from stack.plan.template import fill
from stack.plan.tls import (
    CERTIFICATE,
    CIPHERS,
    CIPHERS_13,
    WEB_MQTT_PATH,
    WEB_MQTT_PORT,
    ServerCertificate,
)
from stack.plan.tls import FOLDER as TLS_FOLDER
from stack.plan.trigger.registry import find_kind

# Names of this machine, and of the gateway within the stack, that go without saying.
_OWN_NAMES = ("localhost", "gateway")
_NAME = re.compile(r"[a-z0-9._-]+")
# What stands for the first part of a name in a certificate for many.
_LABEL = "[a-z0-9_-]+"
# Names below localhost, and addresses of both kinds.
_FORMS = ("([a-z0-9_-]+[.])+localhost", "[0-9]{1,3}([.][0-9]{1,3}){3}", r"\[[0-9a-f:.]+\]")


def host_pattern(names: Collection[str]) -> str:
    """Return the regular expression of the Host headers that are answered, in any case, as a word of HAProxy's.

    A web page of another site can have its own name lead to this machine (DNS rebinding), but no address.
    """
    known = sorted({name.lower().rstrip(".") for name in (*_OWN_NAMES, *names)})
    fit = (name for name in known if _NAME.fullmatch(name.removeprefix("*.")))
    own = "|".join((*(name.replace(".", "[.]").replace("*", _LABEL) for name in fit), *_FORMS))
    return f"'^({own})[.]?(:[0-9]*)?$'"


NONE, BASIC, BEARER, ANY = "none", "basic", "bearer", "any"
# The header by which Tidegate's own programs show that they may call every function; no function sees it.
OWN_HEADER = "X-Tidegate-Gateway"
# With it the gateway has the dashboard refuse what it would let in: it may have begun before a login was wanted.
LOGIN_HEADER = "X-Tidegate-Login"
# What the gateway mounts: files of SHA-256 digests in upper-case hexadecimal, one a line.
FOLDER, MOUNTED = "/etc/tidegate/login", "secrets/gateway"
_CHALLENGES = {BASIC: ("Basic",), BEARER: ("Bearer",), ANY: ("Basic", "Bearer")}
_WAYS = {BASIC: "HTTP basic", BEARER: "a bearer token", ANY: "HTTP basic, or a bearer token"}


@dataclass(frozen=True)
class GatewayLogin:
    """Who may call functions: digests of `user:password`, of tokens, and of what Tidegate's own programs send.

    They are digests without a salt: each is of a random text of 120 bits or more, and looked at with every request.
    """

    basic: Sequence[str] = ()
    bearer: Sequence[str] = ()
    own: Sequence[str] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """Return the files of FOLDER by name."""
        kinds = {"basic": self.basic, "bearer": self.bearer, "own": self.own}
        return {name: "".join(f"{one.upper()}\n" for one in digests).encode() for name, digests in kinds.items()}

    @property
    def version(self) -> str:
        """Return what changes with the digests."""
        return digest(part for name, content in self.files.items() for part in (name, content))


@dataclass(frozen=True)
class Guard:
    """What one part of the gateway asks for: nothing, or a login; `is_shared` lets pages of other sites ask first."""

    authentication: str = NONE
    is_shared: bool = False
    content_type: str = JSON

    @property
    def is_needed(self) -> bool:
        """Return whether a login is asked for."""
        return self.authentication != NONE

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables of a request of which one must be set."""
        own = {BASIC: ("basic",), BEARER: ("bearer",), ANY: ("basic", "bearer")}[self.authentication]
        return (*own, *(("preflight",) if self.is_shared else ()))

    @property
    def challenges(self) -> tuple[str, ...]:
        """Return the values of WWW-Authenticate, as words of HAProxy's configuration."""
        return tuple(f"'{scheme} realm=\"Tidegate\"'" for scheme in _CHALLENGES[self.authentication])

    @property
    def refusal(self) -> str:
        """Return what is told to who shows no login, as a word of HAProxy's configuration."""
        message = f"A login is needed: {_WAYS[self.authentication]}. `invoke credentials --gateway` makes one."
        return Frontend("", 0, 0, 0, self.content_type).write(message)


def find_guard(plan: FunctionPlan, settings: Settings) -> Guard:
    """Return what the gateway asks for before a function is called."""
    trigger = plan.http
    asked = trigger.attributes.authentication if trigger else ""
    return Guard(asked or find_default(settings), is_shared=bool(trigger and trigger.attributes.cors.enabled))


def find_metrics_guard(settings: Settings) -> Guard:
    """Return what is asked for before the broker's figures are shown."""
    return Guard(find_default(settings), content_type=TEXT)


def find_default(settings: Settings) -> str:
    """Return the login of who says nothing else: any where other machines can reach the gateway."""
    if settings.gateway.login != AUTO:
        return settings.gateway.login
    return ANY if settings.is_open("gateway", "gateway_https", "metrics") else NONE


def check_login(plans: Iterable[FunctionPlan], settings: Settings, *, has_login: bool) -> None:
    """Refuse to ask for a login that no one can have.

    Raises:
        ConfigError: the stack or a function asks for one, and none was made.
    """
    if has_login:
        return
    way = "Type `invoke credentials --gateway` to make a login for those who call functions, then this again"
    problems = []
    if (default := find_default(settings)) != NONE:
        why = f"{settings.describe_bind()} lets other machines call functions" if settings.gateway.login == AUTO else ""
        what = why or f"gateway.login: {default} needs a login"
        problems.append(f"stack.yaml: {what}. {way}; or set gateway.login to none.")
    problems += [
        f"{plan.function.document}: spec.triggers: attributes.authentication: {_asked(plan)} needs a login. {way}."
        for plan in plans
        if _asked(plan) not in ("", NONE)
    ]
    if problems:
        raise ConfigError(problems)


def find_open_ports(plans: Iterable[FunctionPlan], settings: Settings) -> list[str]:
    """Tell of the functions with a port of their own that other machines reach, which the gateway does not guard."""
    return [
        f"{plan.name}: other machines reach it at port {port} without a login, which only the gateway asks for. "
        "Leave `port` out, or check who calls in the handler."
        for plan in plans
        if settings.is_open("gateway") and (port := plan.port) and find_guard(plan, settings).is_needed
    ]


def _asked(plan: FunctionPlan) -> str:
    return plan.http.attributes.authentication if plan.http else ""


SERVICE = "gateway"
PORT = 8080
# A port on the network of Tidegate's own programs, and the gateway's name there: it tells them how many requests there
# are, and leads them to functions' containers, at /containers/ADDRESS/PORT/.
CONTROL_PORT = 8405
CONTAINERS_PATH, STATS_PATH = "/containers/", "/stats"
# What the gateway asks each container again and again. A processor that is stopping says so to it, and serves on until
# the gateway knows; it can tell by the query that it is the gateway who asks.
_CHECK_PORT, _CHECK_PATH = 8082, "/ready?gateway"
# A port of the gateway to itself.
_AGAIN_PORT = 8404

# Where it tells which configuration it runs with; no function is called so.
VERSION_PATH = "/-/version"
_FILES = ("gateway/haproxy.cfg", "gateway/hold.lua")
# The service of a Swarm that gives the gateways of all machines their configuration, and what both have besides.
CONFIGURATION, CONFIGURATION_PORT = "gateway-configuration", 8406
_SWARM_FILES = ("gateway/serve.cfg", "gateway/start.sh")
# Two versions of a function, each with all its containers, and a few that come or go.
_SPARE_SLOTS = 4
# Milliseconds that a request waits for a container: of a function that runs, such as while it starts again; of one
# that is to be started first.
_HOLD, _WAKE = 30_000, 120_000
# Longer than any event may sensibly take.
_LONGEST = "24h"


@dataclass(frozen=True)
class Route:
    """One function's place in the gateway; `absence` is told to who asks while no one answers.

    Docker's DNS finds its containers at `host`; `slots` is how many of them the gateway can have at once.
    """

    name: str
    host: str
    is_open: bool
    hold: int
    slots: int
    absence: str
    guard: Guard = field(default_factory=Guard)


def plan_routes(services: Sequence[Service], settings: Settings) -> tuple[Route, ...]:
    """Return a route for each function that has an HTTP trigger which may be reached from outside."""
    return tuple(_route(service, settings) for service in services if service.is_routed)


def is_fully_routed(service: Service) -> bool:
    """Return whether all events of a function come by the gateway, which knows the containers that take them."""
    return service.is_routed and all(find_kind(one).has_port for one in service.plan.triggers.values())


def find_url(plan: FunctionPlan, settings: Settings) -> str:
    """Return where this machine finds a function; nothing if the gateway does not lead to it."""
    return f"http://{settings.host}:{settings.ports.gateway}/{plan.name}" if plan.is_routed else ""


# What the templates call what is the same in each stack.
_NAMES = {
    "login_folder": FOLDER,
    "own_header": OWN_HEADER,
    "longest": _LONGEST,
    "port": PORT,
    "control_port": CONTROL_PORT,
    "control_host": CONTROL_HOST,
    "containers_path": CONTAINERS_PATH,
    "again_port": _AGAIN_PORT,
    "stats_path": STATS_PATH,
    "configuration_service": CONFIGURATION,
    "configuration_port": CONFIGURATION_PORT,
    "check_port": _CHECK_PORT,
    "check_path": _CHECK_PATH,
    "version_path": VERSION_PATH,
}


def render_gateway(
    services: Sequence[Service],
    settings: Settings,
    *,
    names: Collection[str] = (),
    login: str = "",
    certificate: ServerCertificate | None = None,
) -> dict[str, bytes]:
    """Render what the gateway mounts; `names` are this machine's own, and `login` changes with its login."""
    served = certificate or ServerCertificate()
    routes, metrics_guard = plan_routes(services, settings), find_metrics_guard(settings)
    context = _NAMES | {
        "routes": routes,
        "has_login": metrics_guard.is_needed or any(one.guard.is_needed for one in routes),
        "metrics_guard": metrics_guard,
        "session": settings.session_cookie,
        "limits": find_limits(settings, PORT),
        "hosts": host_pattern((*names, *settings.dashboard.hosts, *settings.tls.names, *served.names)),
        "tls": _describe_tls(settings),
        "broker": find_host(settings),
        "broker_servers": _name_servers(settings.broker.nodes),
        "control_subnet": settings.swarm.find_subnet(settings.project) if settings.is_swarm else "",
        "lines": find_lines(settings),
        "version": "",
    }
    unnamed = {path: fill(path, context) for path in _FILES}
    parts = [part for path in _FILES for part in (path, unnamed[path], login)]
    # With another certificate the configuration is read again.
    context["version"] = digest([*parts, served.version] if served.version else parts)
    return {path: fill(path, context) for path in (*_FILES, *(_SWARM_FILES if settings.is_swarm else ()))}


def _name_servers(nodes: int) -> str:
    """Return how the line of the broker's servers begins."""
    # Of several nodes each is asked for itself, and one that is gone gets nothing.
    return "server broker" if nodes == 1 else f"server-template broker {nodes}"


def _describe_tls(settings: Settings) -> dict[str, object]:
    return {
        "is_on": settings.tls.is_on,
        # Nuclio's has no login.
        "dashboard": "" if is_nuclio(settings) else f"{DASHBOARD}:{DASHBOARD_PORT}",
        "certificate": f"{TLS_FOLDER}/{CERTIFICATE}",
        "ciphers": ":".join(CIPHERS),
        "ciphers_13": ":".join(CIPHERS_13),
        "mqtt_port": WEB_MQTT_PORT,
        "mqtt_path": WEB_MQTT_PATH,
        "origins": settings.dashboard.origins,
        "has_login": settings.has_dashboard_login,
        "login_header": LOGIN_HEADER,
    }


def find_version(files: Mapping[str, bytes]) -> str:
    """Return what the gateway tells at VERSION_PATH once it runs with these files."""
    line = next(line for line in files[_FILES[0]].decode().splitlines() if VERSION_PATH in line)
    return line.split('"')[1]


def _route(service: Service, settings: Settings) -> Route:
    name = service.plan.name
    most = max(service.replicas, service.limits.most if service.limits.is_automatic else 1)
    is_open = service.is_deployed and (service.replicas > 0 or service.limits.is_automatic)
    return Route(
        name=name,
        host=service.plan.host,
        is_open=is_open,
        hold=_WAKE if service.limits.is_automatic else _HOLD,
        slots=2 * most + _SPARE_SLOTS,
        absence=_explain_absence(service, name),
        guard=find_guard(service.plan, settings),
    )


def _explain_absence(service: Service, name: str) -> str:
    if not service.is_deployed:
        return f"{name} is not deployed. Type `invoke deploy-function {name}`, then this again."
    if service.plan.spec.disable:
        return f"{name} is disabled: its function.yaml says `disable: true`."
    if not service.replicas and not service.limits.is_automatic:
        return f"{name} is scaled to 0. Type `invoke scale-function {name} 1`, then this again."
    return f"{name} does not run. `invoke logs {name}` tells why; `invoke up` starts what is stopped."


# Compose's own network, for functions, and the one of the stack's own programs, which functions cannot reach.
FUNCTIONS, CONTROL = "default", "control"
# The service that tells names by multicast DNS is in the machine's own network.
MDNS = "mdns"
_CONTROLLING = (CONFIGURATION, "dashboard", "scaler", "devices", "vmalert", "alertmanager")


def network_name(project: str, network: str) -> str:
    """Return what Docker calls a network of a Compose project."""
    return f"{project}_{network}"


def find_networks(service: str) -> tuple[str, ...]:
    """Return the networks that a service is on; the broker and the gateway serve both, and the alerter asks on both."""
    if service in (SERVICE, service_name(ALERTER)) or is_node(service):
        return (FUNCTIONS, CONTROL)
    if service == MDNS:
        return ()
    return (CONTROL,) if service in _CONTROLLING else (FUNCTIONS,)
