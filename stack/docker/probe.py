"""Short questions to processors and to the gateway, such as whether a function is ready.

Docker's own checks cost much more, and are rare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from stack.contract import HEALTH_PORT
from stack.docker.container import Container
from stack.plan.gateway import CONTAINERS_PATH, CONTROL_PORT, SERVICE
from stack.state.http_client import explain, open_local_pool
from stack.state.workspace import is_inside


def find_url(host: str, port: int, path: str = "") -> str:
    """Return where to ask a container's port, by its address or its service's name."""
    if is_inside():
        return f"http://{SERVICE}:{CONTROL_PORT}{CONTAINERS_PATH}{host}/{port}{path}"
    return f"http://{host}:{port}{path}"


_TIMEOUT_SECONDS = 0.2


def ask(url: str, timeout: float) -> BaseHTTPResponse:
    """Ask for a page, and read it to its end.

    Raises:
        OSError: no one answers, or not in HTTP.
    """
    try:
        with open_local_pool() as pool:
            return pool.request("GET", url, timeout=timeout)
    except HTTPError as error:
        raise ConnectionError(explain(error)) from error


def confirm(listed: Sequence[Container]) -> tuple[Container, ...]:
    """Return containers with the word of those functions of which Docker's may be old."""
    ready = find_ready({one.id: one.network_address for one in listed if one.is_doubtful})
    return tuple(replace(one, answers=True) if one.id in ready else one for one in listed)


def find_ready(addresses: Mapping[str, str]) -> set[str]:
    """Return the ids of those containers that are ready, of a mapping from ids to addresses.

    Where this machine does not reach them none is, and Docker's word is waited for.
    """
    return {id_ for id_, address in addresses.items() if address and _is_ready(address)}


def _is_ready(address: str) -> bool:
    try:
        return ask(find_url(address, HEALTH_PORT, "/ready"), _TIMEOUT_SECONDS).status == 200
    except OSError:
        return False
