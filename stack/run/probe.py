"""Whether functions are ready, asked of their processors themselves: Docker's own checks cost much, and are rare."""

import socket
from collections.abc import Mapping

_HEALTH_PORT = 8082
_TIMEOUT_SECONDS = 0.2
_REQUEST = b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n"


def find_ready(addresses: Mapping[str, str]) -> set[str]:
    """Return the ids of those containers that are ready, of a mapping from ids to addresses.

    Where this machine does not reach them none is, and Docker's word is waited for.
    """
    return {id_ for id_, address in addresses.items() if _is_ready(address)}


def _is_ready(address: str) -> bool:
    try:
        with socket.create_connection((address, _HEALTH_PORT), _TIMEOUT_SECONDS) as connection:
            connection.sendall(_REQUEST)
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False
