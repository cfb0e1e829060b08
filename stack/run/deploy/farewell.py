"""The farewell of older containers: what takes their place is called ready once nothing new comes to them any more."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from stack.plan.gateway import is_fully_routed
from stack.plan.stack import Service
from stack.run.docker.container import Container
from stack.run.gateway import dismiss, find_host
from stack.run.stack import Stack

# How long an older version may take to say goodbye to the gateway and the broker; its events are its own matter.
_PATIENCE_SECONDS = 1.0
# Docker calls a container by so many letters of its id, and so do its programs.
_NAME_LETTERS = 12


@dataclass(frozen=True)
class Farewell:
    """Says goodbye for older containers that are being stopped; what they have in hand is waited for by others."""

    host: str
    """Where the gateway is told; nothing if there is none."""
    is_complete: bool
    """Whether all that comes to the functions comes by the gateway."""

    def wait(self, replaced: Sequence[Container], stopping: "Future[None]") -> None:
        """Return when nothing new comes to them, or they are stopped, or after a while where nobody can know.

        They need not be asked: one that is busy may answer only when its event is done.
        """
        if not (self._dismiss(replaced) and self.is_complete):
            wait([stopping], timeout=_PATIENCE_SECONDS)

    def _dismiss(self, replaced: Sequence[Container]) -> bool:
        """Have the gateway send them nothing more; say whether this machine reaches it."""
        if not self.host:
            return False
        try:
            for one in replaced:
                dismiss(self.host, one.function, one.id[:_NAME_LETTERS])
        except OSError:
            return False
        return True


def open_farewell(stack: Stack, services: Sequence[Service], gateway: Container | None) -> Farewell:
    """Find out how the older containers of functions can be seen to leave."""
    is_complete = all(is_fully_routed(one, stack.settings) for one in services)
    return Farewell(find_host(stack.engine, gateway) if gateway else "", is_complete)
