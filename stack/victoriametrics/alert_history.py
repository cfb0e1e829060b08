"""What fired in the past, and for how long: vmalert writes ALERTS into the store when it calculates a rule."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stack.victoriametrics.client import Series, Store

# Times that a span is looked at, and the shortest time between two looks, in seconds.
_LOOKS, _SHORTEST_STEP = 2000, 60
# Seconds without a word that are no end: rules are calculated each minute at least, and what does it may start again.
_GAP = 150.0
_FIRING = 'ALERTS{alertstate="firing", escalation=""}'
# Labels that say nothing of which alert it is.
_STATE = ("__name__", "alertstate", "alertgroup")


@dataclass(frozen=True)
class Episode:
    """An alert that has fired, from when to when, in seconds since 1970; one that fires still ends now."""

    labels: Mapping[str, str]
    start: float
    end: float
    is_over: bool

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.labels.get("alertname", "")

    @property
    def own_labels(self) -> dict[str, str]:
        """Return the labels without its name and its severity."""
        return {name: value for name, value in sorted(self.labels.items()) if name not in ("alertname", "severity")}


def fetch_episodes(store: Store, seconds: float) -> list[Episode]:
    """Return what has fired within so many seconds, the latest first.

    Raises:
        DataError: the store does not answer.
    """
    now = time.time()
    step = max(_SHORTEST_STEP, math.ceil(seconds / _LOOKS / 60) * 60)
    end = math.ceil(now / step) * step
    first, last = (
        store.query_range(f"{function}({_FIRING}[{step}s])", end - seconds, end, step)
        for function in ("tfirst_over_time", "tlast_over_time")
    )
    lasts = {one.title: one for one in last}
    found = [
        episode for one in first if one.title in lasts for episode in _read_episodes(one, lasts[one.title], now=now)
    ]
    return sorted(found, key=lambda one: (one.start, one.name), reverse=True)


def _read_episodes(first: Series, last: Series, *, now: float) -> Iterator[Episode]:
    labels = {name: value for name, value in first.labels.items() if name not in _STATE}
    for start, end in _join(list(zip(first.values, last.values, strict=False))):
        yield Episode(labels, start, end, is_over=now - end > _GAP)


def _join(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans in the order of time, of which those that follow each other closely are one."""
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= _GAP:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
