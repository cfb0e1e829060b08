"""The topic `functions`: each function's state and figures."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

from stack.config.trigger import Trigger
from stack.errors import BrokerError
from stack.plan.function import count_dead_letters
from stack.run.live.engine import AsyncEngine, Instance, Usage
from stack.run.live.events import FAILURES
from stack.run.live.figures import FigureReader, Figures
from stack.run.live.management import Management

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

    def __init__(self, engine: AsyncEngine, reader: FigureReader, records: Records, management: Management) -> None:
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
                **describe_function(one, figures.get(one.name), _measure_memory(one.name, instances, usages)),
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

    async def _ask(self) -> tuple[Sequence[Instance], dict[str, Figures], dict[str, Usage]]:
        try:
            instances = await self._engine.instances()
            figures, usages = await asyncio.gather(self._reader.read(instances), self._engine.usages())
        except FAILURES:
            return (), {}, {}
        return instances, figures, usages


def describe_function(record: Record, figures: Figures | None, memory: int | None) -> dict[str, Any]:
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
        "p50": _milliseconds(figures, 0.5),
        "p99": _milliseconds(figures, 0.99),
        "memory": memory,
        "events": int(total.events) if total else None,
        "retried": int(total.retried) if total else None,
        **(figures.handling.as_document() if figures else {}),
    }


def _round(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)


def _milliseconds(figures: Figures | None, share: float) -> float | None:
    seconds = figures.timed.quantile(share) if figures else None
    return None if seconds is None else round(seconds * 1000, 3)


def _measure_memory(name: str, instances: Sequence[Instance], usages: dict[str, Usage]) -> int | None:
    found = [
        usages[one.container.id].memory
        for one in instances
        if one.container.function == name and one.container.id in usages
    ]
    return sum(found) if found else None
