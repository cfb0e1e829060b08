"""Whether functions are ready, asked of their processors themselves: Docker asks only a few times a second."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from stack.run.container import Container
from stack.run.engine import Engine

_HEALTH_PORT = 8082
_TIMEOUT_SECONDS = 0.2
_REQUEST = b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n"


@dataclass
class Probe:
    """Asks containers at their addresses, where this machine reaches them; elsewhere Docker's word is waited for."""

    engine: Engine
    _addresses: dict[str, str] = field(default_factory=dict)

    def find_ready(self, containers: Sequence[Container]) -> set[str]:
        """Return the ids of those containers that are ready."""
        functions = [one for one in containers if one.function and one.is_running and not one.is_ready]
        if unknown := [one for one in functions if one.id not in self._addresses]:
            self._addresses |= dict.fromkeys((one.id for one in unknown), "") | self.engine.addresses(unknown)
        answering = {one.id for one in functions if _is_ready(self._addresses[one.id])}
        return answering | {one.id for one in containers if one.is_ready}


def _is_ready(address: str) -> bool:
    if not address:
        return False
    try:
        with socket.create_connection((address, _HEALTH_PORT), _TIMEOUT_SECONDS) as connection:
            connection.sendall(_REQUEST)
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False
