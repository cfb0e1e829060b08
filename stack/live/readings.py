"""The topic `readings`: the last day of what the store has of each topic that the devices' page shows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from time import monotonic, time
from typing import Any

from stack.config.data import Data
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.plan.recorder import name_series
from stack.victoriametrics.chart import Line, Span, Values, fetch_means
from stack.victoriametrics.client import Series, find_store, write_selector

# Seconds between two looks, and after how many the store is asked again where there is no new topic.
_PAUSE, _REFRESH = 5.0, 60.0
# Seconds that the devices' page waits for a store that does not answer.
_PATIENCE = 2.0
_DAY, _STEPS = 86_400.0, 96


class ReadingsSource:
    """Means of each quarter of an hour, by the name of the topic in `devices`; of no topic of which nothing is kept."""

    pause = _PAUSE

    def __init__(self, open_stack: Callable[[], Stack], devices: Callable[[], Awaitable[Any]]) -> None:
        self._open_stack, self._devices = open_stack, devices
        self._known: frozenset[str] = frozenset()
        self._days: dict[str, Values] = {}
        self._next = 0.0
        self._asking: asyncio.Future[dict[str, Values]] | None = None

    async def look(self) -> dict[str, Values]:
        """Return the days; those of before while the store does not answer."""
        topics = (await self._devices() or {}).get("topics", {})
        has_new = not topics.keys() <= self._known
        if not self._asking and (has_new or monotonic() >= self._next):
            # Of a new topic the store may not have found the first reading yet.
            self._known, self._next = frozenset(topics), monotonic() + (_PAUSE if has_new else _REFRESH)
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._fetch, topics))
        if self._asking:
            await self._take(self._asking)
        return self._days

    async def _take(self, asking: asyncio.Future[dict[str, Values]]) -> None:
        """Take what the store answers; what is slow is waited for at the next look, what is away asked again."""
        done, _ = await asyncio.wait([asking], timeout=_PATIENCE)
        if done:
            self._asking = None
            try:
                self._days = asking.result()
            except StackError:
                self._next = 0.0

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _fetch(self, topics: Mapping[str, Mapping[str, Any]]) -> dict[str, Values]:
        # As stack.yaml says now, which may keep readings since a moment ago.
        stack = self._open_stack()
        data = stack.settings.data
        series = {name: next(_name(data, one), None) for name, one in topics.items()}
        kept = {name: one for name, one in series.items() if one}
        if not kept:
            return {}
        now = time()
        selectors = [write_selector(*one) for one in kept.values()]
        lines = fetch_means(find_store(stack), selectors, span=Span(now - _DAY, now, _STEPS))
        found = {name: find_line(lines, *one) for name, one in kept.items()}
        return {name: line.mean for name, line in found.items() if line}


def _name(data: Data, topic: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    return name_series(data, topic["exchange"], key=topic["key"], headers={"sensor": topic["sensor"]})


def find_line(lines: Sequence[Line], metric: str, labels: Mapping[str, str]) -> Line | None:
    """Return the line of a metric with some labels; none where several have them, since any could be meant."""
    own = [one for one in lines if one.series.metric == metric and _has(one.series, labels)]
    return own[0] if len(own) == 1 else None


def _has(series: Series, labels: Mapping[str, str]) -> bool:
    """Return whether a series has labels; an empty one is none."""
    return all(series.labels.get(name, "") == value for name, value in labels.items())
