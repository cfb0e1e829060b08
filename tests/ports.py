"""Ports of this machine that no one listens on, for anyone who is to listen there soon."""

import os
import random
import socket
from collections.abc import Iterator
from functools import cache

# Below the ports that Docker and the system hand out by themselves.
_PORTS = range(20000, 32000)


def free_port() -> int:
    """Choose a port; none is chosen twice, here or by another worker of this run."""
    return next(port for port in _own_ports() if _is_free(port))


def free_ports(count: int) -> list[int]:
    """Choose several ports."""
    return sorted(free_port() for _ in range(count))


@cache
def _own_ports() -> Iterator[int]:
    """Yield the ports that are this worker's alone, in an order of chance, which keeps two runs apart."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = _PORTS[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    return iter(random.sample(own, len(own)))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return bool(probe.connect_ex(("127.0.0.1", port)))
