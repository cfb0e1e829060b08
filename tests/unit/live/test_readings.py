"""The last day of what is kept of the topics on the devices' page; the store is the test's own."""

import asyncio
from threading import Event
from typing import Any

import pytest

from stack.config.data import Data
from stack.errors import DataError
from stack.live import readings
from stack.live.readings import ReadingsSource, find_line
from stack.victoriametrics.chart import Line, Span
from stack.victoriametrics.client import Series

OVEN = {"topic": "plant/oven/temperature", "exchange": "amq.topic", "key": "plant.oven.temperature", "sensor": ""}
OTHER = {"topic": "hall", "exchange": "amq.topic", "key": "hall", "sensor": ""}
NOW = 1_795_867_200.0
DATA = Data.model_validate({"keep": [{"topic": "plant/+/temperature", "labels": {"sensor": "{2}"}}]})


class FakeStack:
    def __init__(self, data: Data) -> None:
        self.data = data

    @property
    def settings(self) -> "FakeStack":
        return self


class FakeStore:
    """It has three days of the oven, or is away."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.is_away = False
        self.series: list[Series] = []

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        self.queries.append(text)
        if self.is_away:
            raise DataError("The store of readings does not answer.")
        if self.series:
            return [Series(one.labels, [end], one.values) for one in self.series]
        labels = {"__name__": "temperature", "sensor": "oven"}
        return [Series(labels, [start, end], [1.5, float(len(self.queries))])]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = FakeStore()
    monkeypatch.setattr(readings, "find_store", lambda _: store)
    return store


def look(source: ReadingsSource) -> dict[str, Any]:
    return asyncio.run(source.look())


def make_source(topics: dict[str, Any], data: Data = DATA) -> ReadingsSource:
    async def devices() -> dict[str, Any]:
        return {"topics": topics}

    return ReadingsSource(lambda: FakeStack(data), devices)  # type: ignore[arg-type, return-value]


def test_a_day_of_each_topic_that_is_kept(store: FakeStore) -> None:
    (day,) = look(make_source({"oven": OVEN, "hall": OTHER})).values()
    assert (day[0], day[1], day[-1], len(day)) == (1.5, None, 1, 97)
    assert store.queries == ['avg_over_time({__name__="temperature",sensor="oven"}[900s]) keep_metric_names']


def test_store_is_asked_again_for_a_new_topic_or_after_a_while(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics: dict[str, Any] = {"oven": OVEN}
    source = make_source(topics)
    for _ in range(3):
        assert look(source)["oven"][-1] == 1
    topics["hall"] = OTHER
    assert look(source)["oven"][-1] == 2
    monkeypatch.setattr(readings, "monotonic", lambda: 1e12)
    assert look(source)["oven"][-1] == 3


def test_store_is_asked_once_more_soon_after_a_new_topic(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds what it has taken a second later."""
    source, asked = make_source({"oven": OVEN}), list[int]()
    for seconds in (0.0, 4.0, 5.0, 10.0, 64.0, 65.0, 70.0):
        monkeypatch.setattr(readings, "monotonic", lambda seconds=seconds: seconds)
        look(source)
        asked.append(len(store.queries))
    assert asked == [1, 1, 2, 2, 2, 3, 3]


def test_days_of_before_stay_while_the_store_is_away(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_source({"oven": OVEN})
    look(source)
    store.is_away = True
    monkeypatch.setattr(readings, "monotonic", lambda: 1e12)
    assert look(source)["oven"][-1] == 1 and len(store.queries) == 2


def test_store_that_was_away_is_asked_again_at_the_next_look(store: FakeStore) -> None:
    source = make_source({"oven": OVEN})
    store.is_away = True
    assert look(source) == {}
    store.is_away = False
    assert look(source)["oven"][-1] == 2


def test_slow_store_is_not_asked_twice_and_heard_in_the_end(monkeypatch: pytest.MonkeyPatch, store: FakeStore) -> None:
    is_ready, answer = Event(), store.query_range

    def answer_late(*asked: Any) -> list[Series]:
        assert is_ready.wait(10)
        return answer(*asked)

    async def look_again() -> list[dict[str, Any]]:
        source = make_source({"oven": OVEN})
        found = [await source.look(), await source.look()]
        is_ready.set()
        monkeypatch.setattr(readings, "_PATIENCE", 10.0)
        return [*found, await source.look()]

    monkeypatch.setattr(store, "query_range", answer_late)
    monkeypatch.setattr(readings, "_PATIENCE", 0.01)
    first, second, third = asyncio.run(look_again())
    assert (first, second, len(store.queries)) == ({}, {}, 1)
    assert third["oven"][-1] == 1


def test_nothing_is_asked_where_nothing_is_kept(store: FakeStore) -> None:
    assert look(make_source({"oven": OVEN}, Data())) == {}
    assert look(make_source({"hall": OTHER})) == {}
    assert not store.queries


def test_of_several_series_that_of_the_sensor_is_meant_and_no_other(store: FakeStore) -> None:
    rule = {"exchange": "iot/sensors", "key": "*", "metric": "celsius", "labels": {"sensor": "header.sensor"}}
    topic = {"topic": "iot/sensors t", "exchange": "iot/sensors", "key": "t"}
    topics = {f"t {name}": {**topic, "sensor": name} for name in ("a", "1", "c", "")}
    store.series = [
        Series({"__name__": "celsius", "sensor": "a", "floor": "1"}, [NOW], [1.0]),
        Series({"__name__": "celsius", "sensor": "b"}, [NOW], [2.0]),
        Series({"__name__": "celsius"}, [NOW], [3.0]),
    ]
    days = look(make_source(topics, Data.model_validate({"keep": [rule]})))
    assert {name: max(filter(None, day)) for name, day in days.items()} == {"t a": 1, "t ": 3}
    lines = [Line(Series({"__name__": "t", "sensor": name}, [], []), [], [], []) for name in "ab"]
    assert find_line(lines, "t", {"sensor": "b"}) is lines[1]
    # Which of them a topic of JSON means is not known.
    assert find_line(lines, "t", {}) is None


def test_a_day_has_steps_of_a_quarter_of_an_hour() -> None:
    assert Span(0, readings._DAY, readings._STEPS).step == 900
