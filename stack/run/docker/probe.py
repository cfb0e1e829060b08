"""Short questions to processors, to the gateway and to Docker, such as whether a function is ready.

They are asked by hand since importing http.client takes longer than all of them; Docker's own checks cost much more,
and are rare.
"""

import socket
from collections.abc import Mapping
from typing import NamedTuple

from stack.run.docker.address import find_path, find_place

_HEALTH_PORT = 8082
_TIMEOUT_SECONDS = 0.2
_PIECE_BYTES = 65536


class Answer(NamedTuple):
    """What was answered."""

    status: int
    body: bytes


def ask(place: tuple[str, int], path: str, timeout: float) -> Answer:
    """Ask a host's port for a page by HTTP/1.0, whose answer ends with the connection.

    Raises:
        OSError: nobody answers, or not in HTTP.
    """
    with socket.create_connection(place, timeout) as connection:
        return _ask(connection, place[0], path)


def ask_socket(place: str, path: str, timeout: float, *, method: str = "GET") -> Answer:
    """Ask in the same way who listens at a socket of this machine's files; nothing but the path is sent.

    Raises:
        OSError: nobody answers, or not in HTTP, or this user may not ask.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(place)
        return _ask(connection, "localhost", path, method)


def _ask(connection: socket.socket, host: str, path: str, method: str = "GET") -> Answer:
    connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    answer = b"".join(iter(lambda: connection.recv(_PIECE_BYTES), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/") or not status or not status[0].isdigit():
        raise ConnectionError(f"{host} does not answer in HTTP")
    return Answer(int(status[0]), body)


def find_ready(addresses: Mapping[str, str]) -> set[str]:
    """Return the ids of those containers that are ready, of a mapping from ids to addresses.

    Where this machine does not reach them none is, and Docker's word is waited for.
    """
    return {id_ for id_, address in addresses.items() if _is_ready(address)}


def _is_ready(address: str) -> bool:
    try:
        place, path = find_place(address, _HEALTH_PORT), find_path(address, _HEALTH_PORT, "/ready")
        return ask(place, path, _TIMEOUT_SECONDS).status == 200
    except OSError:
        return False
