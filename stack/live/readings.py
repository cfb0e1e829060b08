"""The topic `readings`: the last day of what the store has of each topic that the devices' page shows."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic, time
from typing import Any

from stack.docker.stack import Stack
from stack.errors import StackError
from stack.plan.recorder import name_series
from stack.victoriametrics.chart import Line, Span, Values, fetch_means
from stack.victoriametrics.client import find_store, write_selector

# Seconds between two looks, and after how many the store is asked again where there is no new topic.
_PAUSE, _REFRESH = 5.0, 60.0
# Seconds that the devices' page waits for a store that does not answer.
_PATIENCE = 2.0
_DAY, _STEPS = 86_400.0, 96


class ReadingsSource:
    """Means of each quarter of an hour, by the name of the topic in `devices`; of no topic of which nothing is kept."""

    pause = _PAUSE

    def __init__(self, stack: Stack, devices: Callable[[], Awaitable[Any]]) -> None:
        self._stack, self._devices = stack, devices
        self._known: frozenset[str] = frozenset()
        self._days: dict[str, Values] = {}
        self._next = 0.0

    async def look(self) -> dict[str, Values]:
        """Return the days; those of before while the store does not answer."""
        topics = (await self._devices() or {}).get("topics", {})
        if not topics.keys() <= self._known or monotonic() >= self._next:
            self._known, self._next = frozenset(topics), monotonic() + _REFRESH
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._days = await asyncio.to_thread(self._fetch, topics)
            except (TimeoutError, StackError):
                return self._days
        return self._days

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _fetch(self, topics: Mapping[str, Mapping[str, Any]]) -> dict[str, Values]:
        stack = self._stack.reread()
        data = stack.settings.data
        series = {name: next(name_series(data, one["exchange"], one["key"]), None) for name, one in topics.items()}
        kept = {name: one for name, one in series.items() if one}
        if not kept:
            return {}
        now = time()
        selectors = [write_selector(*one) for one in kept.values()]
        lines = fetch_means(find_store(stack), selectors, Span(now - _DAY, now, _STEPS))
        found = {name: find_line(lines, *one, sensor=topics[name]["sensor"]) for name, one in kept.items()}
        return {name: line.mean for name, line in found.items() if line}


def find_line(lines: Sequence[Line], metric: str, labels: Mapping[str, str], *, sensor: str) -> Line | None:
    """Return the first line of a metric with some labels; one with the sensor's name where there are several."""
    own = [one for one in lines if one.series.metric == metric and labels.items() <= one.series.labels.items()]
    return min(own, key=lambda one: sensor not in one.series.labels.values(), default=None)
