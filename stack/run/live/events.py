"""Docker's event stream: the one thing that is watched all the time."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import time
from typing import Any

from aiodocker import Docker, DockerError
from aiohttp import ClientError

from stack.config.function import FUNCTION_LABEL
from stack.run.docker.container import PROJECT_LABEL, SERVICE_LABEL

# What Docker, or the way to it, may raise.
FAILURES = (DockerError, ClientError, OSError, TimeoutError)


# What changes how a container is; health checks alone make three more events every few seconds.
_ACTIONS = ("create", "start", "restart", "die", "oom", "kill", "pause", "unpause", "destroy", "health_status")
# Docker itself remembers the last 256 events; this is how old they may be, in seconds.
_PAST = 24 * 3600.0
_KEPT = 200
# Seconds until a Docker that went away is tried again.
_AGAIN = 1.0


@dataclass(frozen=True)
class Event:
    """What happened to one container; `detail` is its health, or the exit status of its process."""

    time: float
    container: str
    service: str
    function: str
    action: str
    detail: str


class EventStream:
    """Follows the events of one project's containers, and tells its listeners that something changed."""

    def __init__(self, docker: Docker, project: str) -> None:
        self._docker = docker
        self._project = project
        self._since = time() - _PAST
        self._listeners: list[Callable[[Event | None], None]] = []
        self.events: deque[Event] = deque(maxlen=_KEPT)

    def listen(self, listener: Callable[[Event | None], None]) -> None:
        """Have a listener told of each event, and of nothing (None) when some may have been missed."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow for ever, whatever becomes of Docker."""
        while True:
            with suppress(*FAILURES, ValueError):
                await self._follow()
            self._tell(None)
            await asyncio.sleep(_AGAIN)

    async def _follow(self) -> None:
        labels = [f"{PROJECT_LABEL}={self._project}"]
        filters = {"type": ["container"], "label": labels, "event": list(_ACTIONS)}
        stream: Any = self._docker.events
        subscriber = stream.subscribe(filters=json.dumps(filters), since=f"{self._since:.6f}")
        try:
            while (document := await subscriber.get()) is not None:
                self._take(read_event(document))
        finally:
            await stream.stop()

    def _take(self, event: Event) -> None:
        if event.time <= self._since:
            return
        self._since = event.time
        self.events.append(event)
        self._tell(event)

    def _tell(self, event: Event | None) -> None:
        for listener in self._listeners:
            listener(event)


def read_event(document: dict[str, Any]) -> Event:
    """Read what Docker says of an event, such as the action `health_status: healthy`."""
    actor = document["Actor"]
    about = actor["Attributes"]
    action, _, health = str(document["Action"]).partition(": ")
    return Event(
        time=int(document["timeNano"]) / 1e9,
        container=str(actor["ID"]),
        service=about.get(SERVICE_LABEL, ""),
        function=about.get(FUNCTION_LABEL, ""),
        action=action,
        detail=health or about.get("exitCode", ""),
    )
