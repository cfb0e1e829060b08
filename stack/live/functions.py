"""The topic `functions`: each function's state and figures."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from aiohttp import ClientSession

from stack.config.trigger.registry import Trigger
from stack.errors import BrokerError
from stack.live.docker import FAILURES, AsyncEngine, Instance, Usage
from stack.live.metrics import CounterHistory, Look, fetch_metrics, find_milliseconds
from stack.plan.function import count_dead_letters
from stack.plan.metrics import Counters, read_condition, read_counters
from stack.plan.trouble import Handling
from stack.rabbitmq.management_async import Management

# Seconds over which rates are told, and between two looks that are kept for it.
_WINDOW, _STEP = 60.0, 2.0
_NOTHING = Counters()


@dataclass(frozen=True)
class FunctionStats:
    """A function's figures: since its containers started, and of the last minute; rates a second need two looks."""

    total: Counters
    rate: float | None
    failure_rate: float | None
    recent: Counters
    handling: Handling = field(default_factory=Handling)

    @property
    def timed(self) -> Counters:
        """Return the events whose durations tell how it is: the last minute's, or if there were none, all."""
        return self.recent if self.recent.events else self.total


def measure(history: CounterHistory) -> FunctionStats:
    """Return what the looks at one container tell."""
    total, recent = history.latest.counters, history.recent
    handling = history.latest.condition.handling
    if not history.is_measured:
        return FunctionStats(total, None, None, recent, handling)
    seconds = max(history.seconds, 1.0)
    return FunctionStats(total, recent.events / seconds, recent.failures / seconds, recent, handling)


class StatsReader:
    """Remembers each container's counters for a minute."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._histories: dict[str, CounterHistory] = {}

    async def read(self, instances: Sequence[Instance]) -> dict[str, FunctionStats]:
        """Ask every running container of a function; return the figures by function, of those that answered."""
        asked = [one for one in instances if one.container.function and one.address]
        answers = await asyncio.gather(*(fetch_metrics(self._session, one) for one in asked))
        now = monotonic()
        found: dict[str, list[FunctionStats]] = {}
        for one, page in zip(asked, answers, strict=True):
            if page is not None:
                history = self._histories.setdefault(one.container.id, CounterHistory(_WINDOW, _STEP))
                history.note(Look(now, read_counters(page), read_condition(page)))
                found.setdefault(one.container.function, []).append(measure(history))
        known = {one.container.id for one in asked}
        self._histories = {key: one for key, one in self._histories.items() if key in known}
        return {name: _sum(several) for name, several in found.items()}


def _sum(several: Sequence[FunctionStats]) -> FunctionStats:
    return FunctionStats(
        sum((one.total for one in several), _NOTHING),
        _sum_rates(one.rate for one in several),
        _sum_rates(one.failure_rate for one in several),
        sum((one.recent for one in several), _NOTHING),
        sum((one.handling for one in several), Handling()),
    )


def _sum_rates(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


# Seconds between two looks; more where there are so many functions that a look takes long.
_PAUSE, _SHARE = 2.0, 30


class Record(Protocol):
    """What is known of a function without asking it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def project(self) -> str:
        """The project that it belongs to."""

    @property
    def namespace(self) -> str:
        """The namespace that it is in."""

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        """What makes it run."""

    @property
    def state(self) -> str:
        """Nuclio's word for how it is."""

    @property
    def revision(self) -> int:
        """The number of what runs; 0 if nothing does."""

    @property
    def replicas(self) -> int:
        """How many containers there are to be."""

    @property
    def ready(self) -> int:
        """How many of them do their work."""


Records = Callable[[], Sequence[Record]]


class FunctionsSource:
    """Every function, deployed or not."""

    def __init__(self, engine: AsyncEngine, reader: StatsReader, records: Records, management: Management) -> None:
        self.pause = _PAUSE
        self._management = management
        self._engine = engine
        self._reader = reader
        self._records = records

    async def look(self) -> dict[str, Any]:
        """Return each function's state and figures; what is not known is None."""
        start = monotonic()
        records = await asyncio.to_thread(self._records)
        (instances, figures, usages), messages = await asyncio.gather(self._ask(), self._count_messages())
        self.pause = max(_PAUSE, _SHARE * (monotonic() - start))
        return {
            one.name: {
                **describe_function(one, figures.get(one.name), _measure_memory(one.name, instances, usages=usages)),
                "dead": None if messages is None else count_dead_letters(one, messages),
            }
            for one in sorted(records, key=lambda one: one.name)
        }

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    async def _count_messages(self) -> Mapping[str, int] | None:
        """Return how many messages each queue holds; None while the broker does not answer."""
        try:
            return await self._management.messages()
        except BrokerError:
            return None

    async def _ask(self) -> tuple[Sequence[Instance], dict[str, FunctionStats], dict[str, Usage]]:
        try:
            instances = await self._engine.instances()
            figures, usages = await asyncio.gather(self._reader.read(instances), self._engine.usages())
        except FAILURES:
            return (), {}, {}
        return instances, figures, usages


def describe_function(record: Record, figures: FunctionStats | None, memory: int | None) -> dict[str, Any]:
    """Return what the pages are told of one function: rates a second, durations in milliseconds, memory in bytes."""
    total = figures.total if figures else None
    return {
        "state": record.state,
        "project": record.project,
        "revision": record.revision,
        "replicas": record.replicas,
        "ready": record.ready,
        "rate": _round(figures.rate) if figures else None,
        "failures": int(total.failures) if total else None,
        "failure_rate": _round(figures.failure_rate) if figures else None,
        "p50": find_milliseconds(figures.timed, 0.5) if figures else None,
        "p99": find_milliseconds(figures.timed, 0.99) if figures else None,
        "memory": memory,
        "events": int(total.events) if total else None,
        "retried": int(total.retried) if total else None,
        **(figures.handling.as_document() if figures else {}),
    }


def _round(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)


def _measure_memory(name: str, instances: Sequence[Instance], *, usages: dict[str, Usage]) -> int | None:
    found = [
        usages[one.container.id].memory
        for one in instances
        if one.container.function == name and one.container.id in usages
    ]
    return sum(found) if found else None
