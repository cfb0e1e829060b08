"""Queries of a long time, looked at as closely as what comes of many series fits into memory, here and in the store."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stack.errors import DataError
from stack.victoriametrics.client import Series, Store

# Points that are fetched at most; seconds between two looks: the fewest, and those for an estimate.
_MOST_POINTS, _SHORTEST, _COARSE = 100_000, 60, 3600
# How VictoriaMetrics refuses what would take too much, and how much further apart it is asked then.
_TOO_MUCH, _FARTHER = "not enough memory", 10


@dataclass(frozen=True)
class Past:
    """What came of some queries at the same times, which are so many seconds apart."""

    results: Sequence[Sequence[Series]]
    step: int


def query_past(store: Store, write: Callable[[int], Sequence[str]], *, seconds: float) -> Past:
    """Return what comes of the queries that are written for a step, within so many seconds until now.

    Raises:
        DataError: the store does not answer, or cannot read a query.
    """
    step = _choose_step(store, write(_COARSE)[0], seconds=seconds)
    while True:
        end = math.ceil(time.time() / step) * step
        try:
            return Past([store.query_range(query, end - seconds, end, step) for query in write(step)], step)
        except DataError as error:
            if _TOO_MUCH not in str(error) or step * _FARTHER > seconds:
                raise
        step *= _FARTHER


def _choose_step(store: Store, query: str, *, seconds: float) -> int:
    counted = store.query(f"sum(count_over_time(({query})[{seconds:.0f}s:{_COARSE}s]))")
    points = counted[0].values[-1] * _COARSE / _SHORTEST if counted else 0
    return _SHORTEST * max(1, math.ceil(points / _MOST_POINTS))
