"""How often an alert would have fired."""

from typing import Any

import pytest

from stack.config.alert import Alert, AlertConfig
from stack.config.data import Data
from stack.config.document import parse_model
from stack.run.alert_preview import look_back
from stack.victoriametrics.client import Series, Store

DATA = parse_model(Data, {"keep": [{"topic": "plant/+/temperature", "labels": {"sensor": "{2}"}}]}, name="stack.yaml")


class FakeStore(Store):
    """Has a value for some minutes; those where a query returns nothing are None."""

    def __init__(self, *values: float | None) -> None:
        self.text = ""
        self.asked: list[str] = []
        points = [(60.0 * minute, value) for minute, value in enumerate(values) if value is not None]
        self._series = [Series({"sensor": "oven"}, [one for one, _ in points], [one for _, one in points])]

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        self.asked.append(text)
        return []

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        self.text = text
        assert (end - start, step) == (3600, 60)
        return self._series


def find(store: FakeStore, **config: Any) -> list[tuple[float, float]]:
    alert = Alert("hot", parse_model(AlertConfig, config, name="alerts/hot.yaml"))
    return [(one.start / 60, one.end / 60) for one in look_back(store, alert, DATA, 3600).firings]


def test_each_time_without_a_gap_is_one() -> None:
    store = FakeStore(None, 31, 32, None, None, 31, None)
    assert find(store, when="temperature > 30") == [(5, 5), (1, 2)]
    assert store.text == "(max_over_time(temperature[60s]) default last_over_time(temperature[300s])) > 30"


def test_it_has_to_hold_for_its_time() -> None:
    store = FakeStore(31, 31, None, 31, 31, 31, 31)
    assert find(store, when="temperature > 30", **{"for": "2m"}) == [(5, 6)]


def test_it_goes_on_until_it_is_clear() -> None:
    # What is between begins nothing, and ends nothing.
    store = FakeStore(29.8, 31, 29.8, 29.8, None, 29.8, 29.8)
    assert find(store, when="temperature > 30", clear="< 29.5") == [(1, 3)]
    assert store.text.endswith(">= 29.5")
    store = FakeStore(31, 29.8, 31, 31)
    assert find(store, when="temperature > 30", clear="< 29.5", **{"for": "1m"}) == [(3, 3)]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"when": "temperature mean 10m < 3"}, "(avg_over_time(temperature[600s])) < 3"),
        (
            {"when": "temperature < 3"},
            "(min_over_time(temperature[60s]) default last_over_time(temperature[300s])) < 3",
        ),
        ({"when": "temperature == 3"}, "(last_over_time(temperature[300s])) == 3"),
        ({"expr": "a / b > 2"}, "a / b > 2"),
        ({"silent": "temperature", "after": "15m"}, "time() - (tlast_over_time(temperature[604800s])) > 900"),
        (
            {"silent": "plant/+/temperature", "after": "15m", "forget": "1h"},
            "time() - (max(tlast_over_time(temperature[3600s])) without (field)) > 900",
        ),
    ],
)
def test_query_is_that_of_the_rule(config: dict[str, str], text: str) -> None:
    store = FakeStore()
    assert find(store, **config) == []
    assert store.text == text


def test_what_is_not_stored_is_known() -> None:
    for config, is_unknown in (({"when": "temprature > 3"}, True), ({"expr": "a > 3"}, False)):
        store = FakeStore()
        alert = Alert("hot", parse_model(AlertConfig, config, name="alerts/hot.yaml"))
        assert look_back(store, alert, DATA, 3600).is_unknown is is_unknown
    assert "count(last_over_time(temprature[3600s]))" not in store.asked
