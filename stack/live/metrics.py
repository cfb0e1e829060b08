"""The topics `metrics:NAME`: the figures of one function while somebody watches them, together and by container."""

import asyncio
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from stack.contract import METRICS_PORT
from stack.docker.container import find_url
from stack.live.channel import LogTail
from stack.live.docker import AsyncEngine, Instance, Usage
from stack.plan.metrics import Condition, Counters, read_condition, read_counters

_PAUSE = 2.0
# Seconds over which rates and durations are told, and points that are kept: half an hour of them.
_WINDOW, _KEPT = 10.0, 900
_TIMEOUT = ClientTimeout(total=2.0)
_NOTHING = Counters()


async def fetch_metrics(session: ClientSession, instance: Instance) -> str | None:
    """Return what a function's container says of itself, in Prometheus's text; None if it does not answer in time."""
    if not instance.address:
        return None
    url = find_url(instance.address, METRICS_PORT, "/metrics")
    try:
        async with session.get(url, timeout=_TIMEOUT) as answer:
            return await answer.text()
    except (ClientError, OSError, TimeoutError, ValueError):
        return None


def find_milliseconds(counters: Counters, share: float) -> float | None:
    """Return the milliseconds that a share of the events did not exceed; None of none."""
    seconds = counters.quantile(share)
    return None if seconds is None else round(seconds * 1000, 3)


@dataclass(frozen=True)
class Look:
    """What one container said at a time of the monotonic clock."""

    time: float
    counters: Counters
    condition: Condition


class CounterHistory:
    """The looks at one container over the last seconds; of looks closer than a step only the last is kept."""

    def __init__(self, seconds: float, step: float = 0.0) -> None:
        self._window, self._step = seconds, step
        self._looks: deque[Look] = deque()

    def note(self, look: Look) -> None:
        """Keep a look; those of a container that has begun to count again are forgotten, and those that are old."""
        looks = self._looks
        if looks and looks[-1].counters.events > look.counters.events:
            looks.clear()
        while looks and looks[0].time < look.time - self._window:
            looks.popleft()
        if len(looks) > 1 and look.time - looks[-2].time < self._step:
            looks.pop()
        looks.append(look)

    @property
    def latest(self) -> Look:
        """Return the last look."""
        return self._looks[-1]

    @property
    def recent(self) -> Counters:
        """Return what was counted within the window."""
        return self._looks[-1].counters - self._looks[0].counters

    @property
    def is_measured(self) -> bool:
        """Return whether there were two looks at least, without which there is no rate."""
        return len(self._looks) > 1

    @property
    def seconds(self) -> float:
        """Return how long the window is by now; 0 if there was one look only."""
        return self._looks[-1].time - self._looks[0].time


class MetricsSource:
    """The figures of one function, a point every two seconds; the last one tells of each container."""

    pause = _PAUSE

    def __init__(self, engine: AsyncEngine, session: ClientSession, name: str) -> None:
        self._engine = engine
        self._session = session
        self._name = name
        self._histories: dict[str, CounterHistory] = {}
        self._points: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0

    async def look(self) -> LogTail:
        """Return the points; rates are a second, durations in milliseconds, memory in bytes, the processor in cores."""
        own = [one for one in await self._engine.instances() if one.container.function == self._name]
        usages = await self._engine.usages()
        looks = await asyncio.gather(*(self._ask(one) for one in own))
        for one, look in zip(own, looks, strict=True):
            if look:
                self._histories.setdefault(one.container.id, CounterHistory(_WINDOW)).note(look)
        answering = {one.container.id for one, look in zip(own, looks, strict=True) if look}
        self._histories = {key: one for key, one in self._histories.items() if key in answering}
        if self._points:
            self._points[-1].pop("replicas", None)
        self._points.append(describe_point(own, self._histories, usages=usages))
        self._count += 1
        return LogTail(self._count, tuple(self._points))

    async def rest(self) -> None:
        """Forget: no one has watched since."""
        self._histories.clear()
        self._points.clear()

    async def _ask(self, instance: Instance) -> Look | None:
        text = await fetch_metrics(self._session, instance)
        return None if text is None else Look(monotonic(), read_counters(text), read_condition(text))


def describe_point(
    instances: Sequence[Instance], histories: Mapping[str, CounterHistory], *, usages: Mapping[str, Usage]
) -> dict[str, Any]:
    """Return the figures of now: of all containers together, and of each under `replicas`."""
    found = [histories[one.container.id] for one in instances if one.container.id in histories]
    used = [usages[one.container.id] for one in instances if one.container.id in usages]
    cores = [one.cpu for one in used if one.cpu is not None]
    timed = sum((one.recent for one in found), _NOTHING)
    measured = [one for one in found if one.is_measured]
    return {
        "time": round(time(), 1),
        "rate": _sum_rates([one.recent.events / one.seconds for one in measured]),
        "failure_rate": _sum_rates([one.recent.failures / one.seconds for one in measured]),
        "p50": find_milliseconds(timed, 0.5),
        "p99": find_milliseconds(timed, 0.99),
        "in_flight": int(sum(one.latest.condition.in_flight for one in found)) if found else None,
        "memory": sum(one.memory for one in used) if used else None,
        "cpu": round(sum(cores), 2) if cores else None,
        "ready": sum(one.container.is_ready for one in instances),
        "replicas": [
            _describe(one, histories.get(one.container.id), usages.get(one.container.id)) for one in instances
        ],
    }


def _describe(instance: Instance, history: CounterHistory | None, usage: Usage | None) -> dict[str, Any]:
    latest = history.latest if history else None
    counters, condition = (latest.counters, latest.condition) if latest else (None, None)
    return {
        "container": instance.container.name,
        "state": instance.container.condition,
        "since": instance.since or None,
        "events": int(counters.events) if counters else None,
        "failures": int(counters.failures) if counters else None,
        "retried": int(counters.retried) if counters else None,
        "dead": int(counters.dead) if counters else None,
        "in_flight": int(condition.in_flight) if condition else None,
        "reconnects": int(condition.reconnects) if condition else None,
        "restarts": int(condition.restarts) if condition else None,
        "memory": usage.memory if usage else None,
        "cpu": usage.cpu if usage else None,
    }


def _sum_rates(rates: Sequence[float]) -> float | None:
    return round(sum(rates), 2) if rates else None


# How many steps are compared; seconds after which a counter that does not go on counts as standing, and after which a
# step says nothing any more.
_STEPS = 5
_STANDING, _OLD = 11.0, 40.0
# Counters of what is gone are forgotten at the next look after so many seconds.
_GONE = 60.0


@dataclass
class _Counter:
    looked: float
    steps: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_STEPS))

    def note(self, now: float, count: int) -> None:
        self.looked = now
        if self.steps and self.steps[-1][1] > count:
            self.steps.clear()
        if not self.steps or self.steps[-1][1] != count:
            self.steps.append((now, count))
        while self.steps[0][0] < now - _OLD and len(self.steps) > 1:
            self.steps.popleft()

    def measure(self, now: float) -> float | None:
        (first, before), (last, count) = self.steps[0], self.steps[-1]
        if now - last > _STANDING:
            return 0.0
        return (count - before) / (last - first) if last > first else None


class RateMeter:
    """Remembers counters by any key."""

    def __init__(self) -> None:
        self._counters: dict[Hashable, _Counter] = {}

    def measure(self, key: Hashable, count: int, now: float, *, otherwise: float) -> float:
        """Return how much a counter goes up a second; at first, what its owner says of it."""
        counter = self._counters.setdefault(key, _Counter(now))
        counter.note(now, count)
        speed = counter.measure(now)
        return round(otherwise if speed is None else speed, 2)

    def forget(self, now: float) -> None:
        """Forget what was not looked at of late."""
        self._counters = {key: one for key, one in self._counters.items() if now - one.looked < _GONE}
