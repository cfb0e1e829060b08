"""The gateway: has it read its configuration again, and reads its statistics."""

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from stack import console
from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.docker.probe import ask
from stack.plan.gateway import CONTROL, CONTROL_PORT, PORT, SERVICE, STATS_PATH, VERSION_PATH, find_version
from stack.plan.render import Files
from stack.state.workspace import is_inside

_TIMEOUT_SECONDS = 2.0
# How long a new configuration may take to be in force, on a busy machine.
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.02
_REREAD = "USR2"
# HAProxy's statistics as CSV, without the places where no container is.
_STATS = f"{STATS_PATH};csv;no-maint"
# Names in them (templates/gateway/haproxy.cfg): of a function's backend, of its containers, and of the server that
# requests go to which wait.
_BACKEND, _CONTAINER, _AGAIN = "function-", "container", "again"


@dataclass(frozen=True)
class Traffic:
    """One function at the gateway: how many requests are handled or wait, and the addresses of who gets new ones."""

    requests: int = 0
    addresses: frozenset[str] = frozenset()


def settle_gateway(engine: Engine, settings: Settings, files: Files) -> None:
    """Have the gateway, if it runs, read its configuration again where it has another; no request fails by it."""
    wanted = find_version(files)
    if _read_version(settings) in ("", wanted):
        return
    running = [one for one in engine.listed() if one.service == SERVICE and one.is_running]
    if not running:
        return
    engine.signal(running[0], _REREAD)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _read_version(settings) != wanted:
        if time.monotonic() > deadline:
            console.warn(f"The gateway goes on with its older configuration; `invoke logs {SERVICE}` tells why.")
            return
        time.sleep(_POLL_SECONDS)


def fetch_traffic(host: str = SERVICE) -> dict[str, Traffic]:
    """Ask the gateway, on the network of Tidegate's own programs, for every function's traffic, by name.

    Raises:
        OSError: it does not answer.
    """
    return read_traffic(_ask(host, CONTROL_PORT, _STATS))


def read_traffic(stats: str) -> dict[str, Traffic]:
    """Read HAProxy's statistics."""
    found: dict[str, Traffic] = {}
    for row in csv.DictReader(stats.removeprefix("# ").splitlines()):
        if row["pxname"].startswith(_BACKEND):
            name = row["pxname"].removeprefix(_BACKEND)
            found[name] = _add(found.get(name, Traffic()), row)
    return found


def _add(traffic: Traffic, row: Mapping[str, str]) -> Traffic:
    """Add a row of the statistics to what the others tell of the same function."""
    server, sessions = row["svname"], int(row["scur"] or 0)
    if server == "BACKEND":
        return replace(traffic, requests=traffic.requests + sessions)
    if server == _AGAIN:
        # What waits is here twice: on its way to where it waits, and as what waits.
        return replace(traffic, requests=traffic.requests - sessions)
    if server.startswith(_CONTAINER) and row["status"].startswith("UP"):
        return replace(traffic, addresses=traffic.addresses | {row["addr"].rpartition(":")[0]})
    return traffic


def find_host(engine: Engine, gateway: Container) -> str:
    """Return where the gateway is on the network of Tidegate's own programs; nothing if it is not there any more."""
    return SERVICE if is_inside() else engine.address(gateway, CONTROL)


def _read_version(settings: Settings) -> str:
    """Return which configuration the gateway runs with; nothing if it does not run."""
    place = (SERVICE, PORT) if is_inside() else (settings.host, settings.ports.gateway)
    try:
        return _ask(*place, VERSION_PATH)
    except OSError:
        return ""


def _ask(host: str, port: int, path: str, timeout: float = _TIMEOUT_SECONDS) -> str:
    return ask(f"http://{host}:{port}{path}", timeout).data.decode()
