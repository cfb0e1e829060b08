"""The gateway: has it read its configuration again, and tells what it has to do."""

import json
import time
from dataclasses import dataclass

from stack import console
from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.docker.probe import ask
from stack.plan.gateway import CONTROL, CONTROL_PORT, PORT, SERVICE, VERSION_PATH, find_version
from stack.plan.render import Files
from stack.state.workspace import is_inside

_TIMEOUT_SECONDS = 2.0
# For what is in a hurry, at an address that not every machine reaches.
_NEAR_SECONDS = 0.3
# How long a new configuration may take to be in force, on a busy machine.
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.02
_REREAD = "USR2"


@dataclass(frozen=True)
class Traffic:
    """One function's requests: in progress or waiting; all there were; and how many containers take them."""

    requests: int
    total: int
    ready: int


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


def read_traffic() -> dict[str, Traffic]:
    """Ask the gateway, from the network of Tidegate's own programs, for the figures of every function.

    Raises:
        OSError: it does not answer.
    """
    document = json.loads(_ask(SERVICE, CONTROL_PORT, "/figures"))
    return {name: Traffic(**figures) for name, figures in document.items()}


def find_host(engine: Engine, gateway: Container) -> str:
    """Return where the gateway is on the network of Tidegate's own programs; nothing if it is not there any more."""
    return SERVICE if is_inside() else engine.address(gateway, CONTROL)


def dismiss(host: str, function: str, container: str) -> None:
    """Have a container, by its host name, get no further request; what it has in progress goes on.

    Raises:
        OSError: the gateway does not answer.
    """
    _ask(host, CONTROL_PORT, f"/bye/{function}/{container}", _NEAR_SECONDS)


def _read_version(settings: Settings) -> str:
    """Return which configuration the gateway runs with; nothing if it does not run."""
    place = (SERVICE, PORT) if is_inside() else (settings.host, settings.ports.gateway)
    try:
        return _ask(*place, VERSION_PATH)
    except OSError:
        return ""


def _ask(host: str, port: int, path: str, timeout: float = _TIMEOUT_SECONDS) -> str:
    return ask(f"http://{host}:{port}{path}", timeout).data.decode()
