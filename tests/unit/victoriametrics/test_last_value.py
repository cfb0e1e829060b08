import time

import pytest

from stack.victoriametrics.client import ANY, Series, Store
from stack.victoriametrics.last_value import LastValues

DAYS = 400 * 86400


class FakeStore(Store):
    """A store that has the values of series, and keeps how many seconds it was asked to look back."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[float, float]] = {}
        self.windows: list[int] = []

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        place = 0 if text.startswith("tlast") else 1
        if place:
            self.windows.append(int(text.rpartition("[")[2].rstrip("s])")))
        return [Series({"__name__": name}, [1.0], [pair[place]]) for name, pair in self.values.items()]


def test_last_values_have_their_own_time_and_all_is_looked_at_seldom() -> None:
    store, last = FakeStore(), LastValues(ANY)
    store.values = {"a": (10.0, 1.5), "b": (20.0, 2.5)}
    assert [(one.title, one.times, one.values) for one in last.fetch(store, DAYS)] == [
        ("a", [10.0], [1.5]),
        ("b", [20.0], [2.5]),
    ]
    store.values = {"b": (30.0, 3.5), "c": (31.0, 4.5)}
    assert [(one.title, one.values[0]) for one in last.fetch(store, DAYS)] == [("a", 1.5), ("b", 3.5), ("c", 4.5)]
    whole, part = store.windows
    assert whole == DAYS
    assert part < 200


def test_what_was_deleted_is_gone_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    store, last = FakeStore(), LastValues(ANY)
    store.values = {"a": (10.0, 1.5)}
    last.fetch(store, DAYS)
    store.values = {}
    assert len(last.fetch(store, DAYS)) == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert list(last.fetch(store, DAYS)) == []
