"""The farewell of older containers: what takes their place is called ready once nothing new comes to them any more."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from stack.plan.gateway import is_fully_routed
from stack.plan.stack import Service
from stack.run.docker.container import Container
from stack.run.gateway import find_host, find_seated
from stack.run.stack import Stack

# How long an older version may take to say goodbye to the gateway and the broker; its events are its own matter.
_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.01
# Docker calls a container by so many letters of its id, and so do its programs.
_NAME_LETTERS = 12


@dataclass(frozen=True)
class Farewell:
    """Waits for older containers that are being stopped; what they have in hand is waited for by others."""

    host: str
    """Where the gateway is asked; nothing if it does not know of all that comes to the functions."""

    def wait(self, replaced: Sequence[Container], stopping: "Future[None]") -> None:
        """Wait until they are stopped, or the gateway sends them nothing more and nobody else does, or for so long."""
        names = {one.id[:_NAME_LETTERS] for one in replaced}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        host = self.host
        while names and not stopping.done() and time.monotonic() < deadline:
            seated = _find_seated(host) if host else None
            if seated is None:
                host = ""
            elif not names & seated:
                return
            wait([stopping], timeout=_POLL_SECONDS)


def open_farewell(stack: Stack, services: Sequence[Service], gateway: Container | None) -> Farewell:
    """Find out how the older containers of functions can be seen to leave."""
    if gateway and all(is_fully_routed(one, stack.settings) for one in services):
        return Farewell(find_host(stack.engine, gateway))
    return Farewell("")


def _find_seated(host: str) -> set[str] | None:
    """Return who is sent requests; None if this machine does not reach the gateway there."""
    try:
        return find_seated(host)
    except OSError:
        return None
