"""How closely the past is looked at."""

import pytest

from stack.errors import DataError
from stack.victoriametrics.client import Series, Store
from stack.victoriametrics.past import Past, query_past

WEEK = 7 * 86400.0


class FakeStore(Store):
    """Has so many points at looks each hour, and refuses what is looked at more closely than each `least` seconds."""

    def __init__(
        self, points: float = 0, *, least: float = 0, problem: str = "not enough memory for processing"
    ) -> None:
        self._points, self._least, self._problem = points, least, problem
        self.steps: list[float] = []

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        assert text == "sum(count_over_time((t[3600s])[604800s:3600s]))"
        return [Series({}, [0.0], [self._points])] if self._points else []

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        assert text == f"t[{step}s]" and end - start == WEEK
        self.steps.append(step)
        if step < self._least:
            raise DataError(self._problem)
        return []


def ask(store: FakeStore) -> Past:
    return query_past(store, lambda step: [f"t[{step}s]"], seconds=WEEK)


def test_few_points_are_looked_at_each_minute() -> None:
    assert ask(FakeStore()).step == ask(FakeStore(1000)).step == 60


def test_many_points_are_looked_at_less_often() -> None:
    # A thousand series, all week.
    assert ask(FakeStore(1000 * 168)).step == 60 * 101


def test_what_the_store_has_no_memory_for_is_looked_at_less_often() -> None:
    store = FakeStore(least=1000)
    assert ask(store).step == 6000 and store.steps == [60, 600, 6000]
    with pytest.raises(DataError, match="memory"):
        ask(FakeStore(least=WEEK))


def test_a_query_that_is_wrong_is_asked_once() -> None:
    store = FakeStore(least=1000, problem="cannot parse")
    with pytest.raises(DataError, match="cannot parse"):
        ask(store)
    assert store.steps == [60]
