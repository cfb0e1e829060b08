"""The gateway: one address for all HTTP functions, each at a path that begins with its name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from stack.config.settings import Processor, Settings
from stack.config.trigger import HttpTrigger
from stack.plan.authentication import FOLDER, OWN_HEADER, Guard, find_guard, find_metrics_guard
from stack.plan.broker import SERVICE as BROKER
from stack.plan.foundation import chosen_processor
from stack.plan.frontend import find_limits, host_pattern
from stack.plan.function import FunctionPlan
from stack.plan.image import digest
from stack.plan.stack import Service
from stack.plan.template import fill

SERVICE = "gateway"
PORT = 8080
# A port on the network of functions: processors say there that they take requests.
REGISTRATION_PORT = 8403
# A port on the network of Tidegate's own programs, and the gateway's name there: it tells them how many requests there
# are, and leads them to functions' containers, at /containers/ADDRESS/PORT/.
CONTROL_PORT, CONTROL_HOST = 8405, "gateway-control"
CONTAINERS_PATH = "/containers/"
# A port of the gateway to itself.
_AGAIN_PORT = 8404
# Tells processors where that is.
VARIABLE = "TIDEGATE_GATEWAY"
# The folder in which it remembers who serves which function, and its volume.
MEMORY, MEMORY_VOLUME = "/run/tidegate", "gateway-memory"

# Where it tells which configuration it runs with; no function is called so.
VERSION_PATH = "/-/version"
_FILES = ("gateway/haproxy.cfg", "gateway/presence.lua")
# Two versions of a function, each with all its containers, and a few that come or go.
_SPARE_SEATS = 4
# Milliseconds that a request waits for a container: of a function that runs, such as while it starts again; of one
# that is to be started first.
_HOLD, _WAKE = 30_000, 120_000
# Longer than any event may sensibly take.
_LONGEST = "24h"


@dataclass(frozen=True)
class Route:
    """One function's place in the gateway; `absence` is told to who asks while nobody answers.

    Docker's DNS finds its containers at `host`. Nuclio's own processor says nothing of itself (`is_foreign`), so that
    the gateway has to find and to ask it.
    """

    name: str
    host: str
    is_open: bool
    is_foreign: bool
    hold: int
    seats: int
    absence: str
    guard: Guard = field(default_factory=Guard)


def plan_routes(services: Sequence[Service], settings: Settings) -> tuple[Route, ...]:
    """Return a route for each function that has an HTTP trigger which may be reached from outside."""
    return tuple(_route(service, settings) for service in services if service.is_routed)


def is_fully_routed(service: Service, settings: Settings) -> bool:
    """Say whether all events of a function come by the gateway, which knows the containers that take them."""
    is_http = all(isinstance(trigger, HttpTrigger) for trigger in service.plan.triggers.values())
    return service.is_routed and is_http and not _is_foreign(service, settings)


def find_url(plan: FunctionPlan, settings: Settings) -> str:
    """Return where this machine finds a function; nothing if the gateway does not lead to it."""
    return f"http://{settings.host}:{settings.ports.gateway}/{plan.name}" if plan.is_routed else ""


def render_gateway(
    services: Sequence[Service], settings: Settings, *, names: Collection[str] = (), login: str = ""
) -> dict[str, bytes]:
    """Render what the gateway mounts; `names` are this machine's own, and `login` changes with its login."""
    routes, metrics_guard = plan_routes(services, settings), find_metrics_guard(settings)
    context = {
        "routes": routes,
        "has_login": metrics_guard.is_needed or any(one.guard.is_needed for one in routes),
        "metrics_guard": metrics_guard,
        "login_folder": FOLDER,
        "own_header": OWN_HEADER,
        "limits": find_limits(settings, PORT),
        "hosts": host_pattern((*names, *settings.dashboard.hosts)),
        "broker": BROKER,
        "longest": _LONGEST,
        "port": PORT,
        "registration_port": REGISTRATION_PORT,
        "control_port": CONTROL_PORT,
        "control_host": CONTROL_HOST,
        "containers_path": CONTAINERS_PATH,
        "again_port": _AGAIN_PORT,
        "memory": MEMORY,
        "version_path": VERSION_PATH,
        "version": "",
    }
    unnamed = {path: fill(path, context) for path in _FILES}
    context["version"] = digest(part for path in _FILES for part in (path, unnamed[path], login))
    return {path: fill(path, context) for path in _FILES}


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
        is_foreign=_is_foreign(service, settings),
        hold=_WAKE if service.limits.is_automatic else _HOLD,
        seats=2 * most + _SPARE_SEATS,
        absence=_explain_absence(service, name),
        guard=find_guard(service.plan, settings),
    )


def _is_foreign(service: Service, settings: Settings) -> bool:
    return chosen_processor(service.plan.function.config, settings) is Processor.NUCLIO


def _explain_absence(service: Service, name: str) -> str:
    if not service.is_deployed:
        return f"{name} is not deployed. Type `invoke deploy-function {name}`, then this again."
    if service.plan.spec.disable:
        return f"{name} is disabled: its function.yaml says `disable: true`."
    if not service.replicas and not service.limits.is_automatic:
        return f"{name} is scaled to 0. Type `invoke scale-function {name} 1`, then this again."
    return f"{name} does not run. `invoke logs {name}` tells why; `invoke up` starts what is stopped."
