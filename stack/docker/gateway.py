"""The gateway: has it read its configuration again, reads its statistics, and waits for it in a deploy."""

import csv
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from socket import AF_INET, SOCK_STREAM, getaddrinfo
from typing import NamedTuple

from stack import console
from stack.config.settings import Settings
from stack.docker.container import Container, ask
from stack.docker.engine import Engine
from stack.docker.swarm.driver import open_driver
from stack.errors import StackError
from stack.plan.gateway import (
    CONFIGURATION,
    CONTROL,
    CONTROL_PORT,
    PORT,
    SERVICE,
    STATS_PATH,
    VERSION_PATH,
    find_version,
    is_fully_routed,
)
from stack.plan.stack import Service
from stack.plan.template import Files
from stack.state.workspace import is_inside

_TIMEOUT_SECONDS = 2.0
# How long a new configuration may take to be in force, on a busy machine.
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.02
# How long it may take to send requests to new containers, which are ready, and none to those that stop; and for how
# long those that stop are waited for that get messages, too, or whom the gateway cannot be asked about.
_SWITCH_SECONDS, _STOP_SECONDS = 5.0, 1.0
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


def settle_gateway(engine: Engine, settings: Settings, *, files: Files, is_ending: bool = False) -> None:
    """Have the gateway, if it runs, read its configuration again where it has another; no request fails by it.

    One that ends, since another takes its place, need not, and may lack what that one has, such as a certificate.
    """
    wanted = find_version(files)
    if _read_version(settings) in ("", wanted):
        return
    running = [one for one in engine.listed() if one.service == SERVICE and one.is_running]
    if not running:
        return
    if engine.is_swarm:
        # Each gateway fetches it by itself.
        try:
            open_driver(engine).up([CONFIGURATION])
        except StackError as error:
            console.warn(f"The gateways go on with their older configuration: {error}")
            return
    elif not is_ending:
        engine.signal(running[0], _REREAD)
    if not is_ending:
        _await_version(settings, wanted)


def _await_version(settings: Settings, wanted: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _read_version(settings) != wanted:
        if time.monotonic() > deadline:
            console.warn(f"The gateway goes on with its older configuration; `invoke logs {SERVICE}` tells why.")
            return
        time.sleep(_POLL_SECONDS)


def fetch_traffic(host: str = SERVICE) -> dict[str, Traffic]:
    """Ask the gateway, on the network of Tidegate's own programs, for every function's traffic, by name.

    In a Swarm there is one on each machine, and the name has the addresses of all.

    Raises:
        OSError: one does not answer.
    """
    found: dict[str, Traffic] = {}
    for address in sorted({str(one[4][0]) for one in getaddrinfo(host, CONTROL_PORT, AF_INET, SOCK_STREAM)}):
        found = read_traffic(_ask(address, CONTROL_PORT, _STATS), found)
    return found


def read_traffic(stats: str, others: Mapping[str, Traffic] | None = None) -> dict[str, Traffic]:
    """Read HAProxy's statistics, and add them to those of other gateways."""
    found = dict(others or {})
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


class Endpoint(NamedTuple):
    """A function and the address of one of its containers."""

    function: str
    address: str


def find_endpoints(containers: Iterable[Container]) -> set[Endpoint]:
    """Return where containers are, of those that run."""
    return {Endpoint(one.function, one.network_address) for one in containers if one.network_address}


@dataclass(frozen=True)
class Handover:
    """Waits for the gateway while new containers take the place of older ones, of which it learns by itself."""

    engine: Engine
    host: str
    """Where the gateway can be asked; nothing if there is none."""
    is_complete: bool
    """Whether all that comes to the functions comes by the gateway."""

    def switch(self, services: Sequence[Service], older: Sequence[Container]) -> "Future[None]":
        """Stop older containers once the new get requests; return the stop when nothing new comes to the older.

        Who is told that a function is ready calls it, and is not to be answered by its older self, whenever that
        ends its events.
        """
        pool = ThreadPoolExecutor(1)
        try:
            self._wait_until_known(services, older)
        finally:
            stopping = pool.submit(open_driver(self.engine).stop, older)
            pool.shutdown(wait=False)
        self.wait_until_gone(find_endpoints(older), stopping)
        return stopping

    def _wait_until_known(self, services: Sequence[Service], older: Collection[Container]) -> None:
        """Return when new containers get requests, or after a while: a request waits that finds no container."""
        routed = {one.plan.service for one in services if one.is_routed and one.replicas}
        if not (self.host and routed):
            return
        ids = {one.id for one in older}
        new = find_endpoints(one for one in self.engine.listed() if one.service in routed and one.id not in ids)
        self._wait(lambda current: new <= current, is_over=lambda: False)

    def wait_until_gone(self, older: Collection[Endpoint], stopping: "Future[None]") -> None:
        """Return when nothing new comes to older containers, or they are stopped, or after a while.

        They are not waited for any longer: one that is busy may stop only when its event is done.
        """
        is_told = bool(self.host) and self._wait(lambda current: current.isdisjoint(older), is_over=stopping.done)
        if not (is_told and self.is_complete):
            wait([stopping], timeout=_STOP_SECONDS)

    def _wait(self, is_met: Callable[[set[Endpoint]], bool], *, is_over: Callable[[], bool]) -> bool:
        """Wait until those who get requests are as they should be; return whether this machine reaches the gateway."""
        deadline = time.monotonic() + _SWITCH_SECONDS
        while time.monotonic() < deadline and not is_over():
            try:
                traffic = fetch_traffic(self.host)
            except OSError:
                return False
            if is_met({Endpoint(name, one) for name, found in traffic.items() for one in found.addresses}):
                return True
            time.sleep(_POLL_SECONDS)
        return True


def open_handover(engine: Engine, services: Iterable[Service], *, gateway: Container | None) -> Handover:
    """Find out where the gateway can be asked, if it runs."""
    return Handover(engine, find_host(engine, gateway) if gateway else "", all(map(is_fully_routed, services)))


def find_host(engine: Engine, gateway: Container) -> str:
    """Return where the gateway is on the network of Tidegate's own programs; nothing if it is not there any more."""
    if is_inside():
        return SERVICE
    # Swarm itself ends older containers, and the gateway answers on its own networks only.
    return "" if engine.is_swarm else engine.address(gateway, CONTROL)


def _read_version(settings: Settings) -> str:
    """Return which configuration the gateway runs with; nothing if it does not run."""
    place = (SERVICE, PORT) if is_inside() else (settings.host, settings.ports.gateway)
    try:
        return _ask(*place, VERSION_PATH)
    except OSError:
        return ""


def _ask(host: str, port: int, path: str) -> str:
    return ask(f"http://{host}:{port}{path}", _TIMEOUT_SECONDS).data.decode()
