"""Docker, asked without waiting: containers, what they use, and what they say."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, time
from typing import Any

from aiodocker import Docker, DockerError
from aiodocker.multiplexed import multiplexed_result_stream
from aiohttp import ClientError, ClientTimeout

from stack.config.function import FUNCTION_LABEL
from stack.docker.container import PROJECT_LABEL, SERVICE_LABEL, Container, confirm, read_container
from stack.docker.engine import Engine
from stack.docker.node import STACK_LABEL
from stack.docker.swarm.task import SWARM_SERVICE_LABEL
from stack.errors import EngineError

# What Docker, or the way to it, may raise.
FAILURES = (DockerError, ClientError, OSError, TimeoutError, EngineError)


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

    def __init__(self, docker: Docker, project: str, *, is_swarm: bool = False) -> None:
        self._docker = docker
        self._project = project
        self._label = STACK_LABEL if is_swarm else PROJECT_LABEL
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
        labels = [f"{self._label}={self._project}"]
        filters = {"type": ["container"], "label": labels, "event": list(_ACTIONS)}
        stream: Any = self._docker.events
        subscriber = stream.subscribe(filters=json.dumps(filters), since=f"{self._since:.6f}")
        try:
            while (document := await subscriber.get()) is not None:
                self._take(read_event(document, self._project))
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


def read_event(document: dict[str, Any], project: str = "") -> Event:
    """Read what Docker says of an event, such as the action `health_status: healthy`; Swarm's of this machine alone."""
    actor = document["Actor"]
    about = actor["Attributes"]
    action, _, health = str(document["Action"]).partition(": ")
    return Event(
        time=int(document["timeNano"]) / 1e9,
        container=str(actor["ID"]),
        service=about.get(SERVICE_LABEL, "") or about.get(SWARM_SERVICE_LABEL, "").removeprefix(f"{project}_"),
        function=about.get(FUNCTION_LABEL, ""),
        action=action,
        detail=health or about.get("exitCode", ""),
    )


_TIMEOUT, _ENDLESS = ClientTimeout(total=5.0), ClientTimeout()
# What a container with a terminal says comes as it is, of others in frames.
_RAW = "application/vnd.docker.raw-stream"
# For how long a listing is believed that no event has changed, in case that one was lost.
_BELIEVED_SECONDS = 30.0
# The same while a function is there of which Docker's health check, which is rare, has not found that it is ready.
_DOUBTED_SECONDS = 0.9
# How long the last lines may take, which another machine may have.
_LINES_SECONDS = 10.0
# Seconds between two looks at what a container uses.
_USAGE_SECONDS = 4.0


@dataclass(frozen=True)
class Instance:
    """A container, and since when it runs; 0 if it does not."""

    container: Container
    since: float

    @property
    def address(self) -> str:
        """Return where it is on the stack's network; nothing if it does not run."""
        return self.container.network_address


@dataclass(frozen=True)
class Usage:
    """What a container uses: bytes of memory, the file cache left out, and cores, which two looks tell."""

    memory: int
    cpu: float | None


@dataclass(frozen=True)
class _Sample:
    time: float
    seconds: float
    memory: int


class AsyncEngine:
    """Docker, for one project; what no event has changed is not asked for again."""

    def __init__(self, docker: Docker, project: str, swarm: Engine | None = None) -> None:
        self.docker = docker
        self._project = project
        self._swarm = swarm
        """What lists the tasks of all machines, where they are Swarm's."""
        self._instances: tuple[Instance, ...] = ()
        self._is_stale = True
        self._listed_at = 0.0
        self._starts: dict[str, float] = {}
        self._samples: dict[str, _Sample] = {}
        self._usages: dict[str, Usage] = {}
        self._used_at = float("-inf")
        self._lock = asyncio.Lock()

    def forget(self, event: Event | None) -> None:
        """Ask again for what an event may have changed; without one, for everything."""
        self._is_stale = True
        if event:
            self._starts.pop(event.container, None)
        else:
            self._starts.clear()

    async def instances(self) -> tuple[Instance, ...]:
        """List the project's containers, running or not.

        Raises:
            DockerError: Docker does not answer.
        """
        async with self._lock:
            if self._is_stale or monotonic() > self._listed_at + self._believed:
                # An event that comes meanwhile makes the next call ask again.
                self._is_stale = False
                try:
                    self._instances = await self._list()
                    self._listed_at = monotonic()
                except BaseException:
                    self._is_stale = True
                    raise
        return self._instances

    @property
    def _believed(self) -> float:
        """Return for how many seconds the listing is believed: no event tells of readiness, or of other machines."""
        is_doubtful = bool(self._swarm) or any(one.container.is_doubtful for one in self._instances)
        return _DOUBTED_SECONDS if is_doubtful else _BELIEVED_SECONDS

    async def usages(self) -> dict[str, Usage]:
        """Tell what each running container uses, by id; of a new one only from the second look on."""
        if monotonic() < self._used_at + _USAGE_SECONDS:
            return self._usages
        self._used_at = monotonic()
        running = [
            one.container.id for one in await self.instances() if one.container.is_running and not one.container.node
        ]
        samples = dict(zip(running, await asyncio.gather(*map(self._sample, running)), strict=True))
        self._usages = {key: _compare(self._samples.get(key), new) for key, new in samples.items() if new}
        self._samples = {key: new for key, new in samples.items() if new}
        return self._usages

    async def health(self, container: str) -> str:
        """Return what the last health check of a container said."""
        try:
            checks = (await self._inspect(container))["State"].get("Health", {}).get("Log") or []
        except FAILURES:
            return ""
        return str(checks[-1]["Output"]) if checks else ""

    async def _list(self) -> tuple[Instance, ...]:
        listed = await asyncio.to_thread(self._swarm.listed) if self._swarm else await self._list_here()
        is_doubtful = any(one.is_doubtful for one in listed)
        confirmed = await asyncio.to_thread(confirm, listed) if is_doubtful else listed
        instances = await asyncio.gather(*(self._read(one) for one in confirmed))
        return tuple(sorted(instances, key=lambda one: one.container.name))

    async def _list_here(self) -> Sequence[Container]:
        filters = json.dumps({"label": [f"{PROJECT_LABEL}={self._project}"]})
        return [read_container(one) for one in await self.docker.containers.list(all=True, filters=filters)]

    async def _read(self, container: Container) -> Instance:
        if not container.is_running:
            return Instance(container, 0.0)
        if container.id not in self._starts:
            self._starts[container.id] = await self._find_start(container.id)
        return Instance(container, self._starts[container.id])

    async def _find_start(self, container: str) -> float:
        try:
            text = (await self._inspect(container))["State"]["StartedAt"]
        except FAILURES:
            return 0.0
        return datetime.fromisoformat(text).timestamp()

    async def _inspect(self, container: str) -> dict[str, Any]:
        return await self.docker.containers.container(container).show()

    async def _sample(self, container: str) -> _Sample | None:
        """Ask once for what a container uses; aiodocker's own call would take Docker two seconds."""
        url = self._url(f"containers/{container}/stats?stream=0&one-shot=1")
        try:
            async with self.docker.session.get(url, timeout=_TIMEOUT) as answer:
                return _read_sample(await answer.json())
        except (*FAILURES, ValueError, KeyError):
            return None

    async def lines(self, container: Container, *, tail: int) -> list[str]:
        """Return a container's last lines, each with its time before it; none if its machine does not answer."""
        with suppress(*FAILURES):
            async with asyncio.timeout(_LINES_SECONDS):
                pieces = [piece async for piece in self.texts(container, f"timestamps=1&tail={tail}")]
            return "".join(pieces).splitlines()
        return []

    async def follow(self, container: Container, since: float) -> AsyncIterator[str]:
        """Yield a container's lines from a time on, as they come, each with its time before it."""
        unfinished = ""
        async for text in self.texts(container, f"follow=1&timestamps=1&since={since:.9f}"):
            *lines, unfinished = (unfinished + text).split("\n")
            for line in lines:
                yield line

    async def texts(self, container: Container, query: str) -> AsyncIterator[str]:
        """Yield what a container says as it comes, in pieces; the query has Docker's own options.

        Without aiodocker's own call, which leaves its connection open when no one listens any more.
        """
        url = self._url(f"{_find_place(container)}/logs?stdout=1&stderr=1&{query}")
        async with self.docker.session.get(url, timeout=_ENDLESS) as answer:
            answer.raise_for_status()
            texts: AsyncIterator[str] = multiplexed_result_stream(answer, is_tty=answer.content_type == _RAW)  # type: ignore[no-untyped-call]
            async for text in texts:
                yield text

    def _url(self, path: str) -> str:
        return f"{self.docker.docker_host}/{self.docker.api_version}/{path}"


def _find_place(container: Container) -> str:
    """Return where Docker tells of a container: on another machine it knows only Swarm's task."""
    return f"tasks/{container.task}" if container.node else f"containers/{container.id}"


def _read_sample(document: dict[str, Any]) -> _Sample:
    memory = document["memory_stats"]
    cache = memory.get("stats", {}).get("inactive_file", 0)
    return _Sample(monotonic(), document["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, memory["usage"] - cache)


def _compare(old: _Sample | None, new: _Sample) -> Usage:
    """Round to what a person can see, so that a quiet container says the same twice."""
    cpu = round(max(new.seconds - old.seconds, 0.0) / max(new.time - old.time, 0.1), 2) if old else None
    return Usage(round(new.memory, -5), cpu)
