"""Short questions to processors and to the gateway, such as whether a function is ready.

Docker's own checks cost much more, and are rare.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from stack.contract import HEALTH_PORT
from stack.docker.container import Container
from stack.plan.gateway import CONTAINERS_PATH, CONTROL_PORT, SERVICE
from stack.state.workspace import is_inside


def find_place(host: str, port: int) -> tuple[str, int]:
    """Return the host and port to connect to for a port of a container, by its address or its service's name."""
    return (SERVICE, CONTROL_PORT) if is_inside() else (host, port)


def find_path(host: str, port: int, path: str) -> str:
    """Return what to ask for there."""
    return f"{CONTAINERS_PATH}{host}/{port}{path}" if is_inside() else path


def find_url(host: str, port: int, path: str = "") -> str:
    """Return both as a URL."""
    place = find_place(host, port)
    return f"http://{place[0]}:{place[1]}{find_path(host, port, path)}"


_TIMEOUT_SECONDS = 0.2
_PIECE_BYTES = 65536


class Answer(NamedTuple):
    """What was answered."""

    status: int
    body: bytes


def ask(place: tuple[str, int], path: str, timeout: float) -> Answer:
    """Ask a host's port for a page by HTTP/1.0, whose answer ends with the connection.

    Raises:
        OSError: no one answers, or not in HTTP.
    """
    with socket.create_connection(place, timeout) as connection:
        return _ask(connection, place[0], path)


def _ask(connection: socket.socket, host: str, path: str) -> Answer:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    answer = b"".join(iter(lambda: connection.recv(_PIECE_BYTES), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/") or not status or not status[0].isdigit():
        raise ConnectionError(f"{host} does not answer in HTTP")
    return Answer(int(status[0]), body)


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
        place, path = find_place(address, HEALTH_PORT), find_path(address, HEALTH_PORT, "/ready")
        return ask(place, path, _TIMEOUT_SECONDS).status == 200
    except OSError:
        return False
