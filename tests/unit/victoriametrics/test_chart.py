import time
from collections.abc import Mapping, Sequence

import pytest

from stack.errors import DataError
from stack.victoriametrics.chart import LINES, Span, fetch_chart, fetch_means
from stack.victoriametrics.client import Series, Store, is_selector, write_selector

NOON = 1_795_867_200.0


class FakeStore(Store):
    """A store with what a query comes to; it keeps what was asked."""

    def __init__(self, answers: Mapping[str, Sequence[Series]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, float, float, float]] = []

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        self.asked.append((text, start, end, step))
        return list(self.answers[text])


def rolled(sensor: str, kind: str, *values: float, start: float = NOON + 60) -> Series:
    times = [start + 60 * at for at in range(len(values))]
    return Series({"__name__": "temperature", "sensor": sensor, "rollup": kind}, times, values)


@pytest.mark.parametrize(
    ("seconds", "points", "step"),
    [(1, 400, 1), (3600, 400, 10), (86400, 400, 300), (30 * 86400, 400, 7200), (3650 * 86400, 400, 10 * 86400)],
)
def test_steps_are_ones_that_a_reader_can_name(seconds: float, points: int, step: int) -> None:
    assert Span(NOON, NOON + seconds, points).step == step


def test_no_one_has_the_store_calculate_millions_of_steps() -> None:
    assert len(Span(NOON, NOON + 86400, 10**9).ends) <= 1000


def test_steps_end_at_multiples_of_themselves() -> None:
    assert list(Span(NOON + 1, NOON + 11, 10).ends) == [NOON + at for at in range(2, 12)]
    # A long step is drawn before it has ended, a short one is not.
    assert Span(NOON, NOON + 30 * 86400 + 1, 400).ends[-1] == NOON + 30 * 86400 + 7200
    assert Span(NOON, NOON + 3601, 400).ends[-1] == NOON + 3600


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5), (float("nan"), 5), (0, float("inf"))])
def test_a_time_that_is_none_is_refused(start: float, end: float) -> None:
    with pytest.raises(DataError, match="end after it begins"):
        Span(start, end)


def test_stored_readings_have_their_mean_lowest_and_highest() -> None:
    series = [rolled("oven", "avg", 2, 4), rolled("oven", "min", 1, 3), rolled("oven", "max", 3, float("nan"))]
    store = FakeStore({"rollup(temperature[60s]) keep_metric_names": series})
    chart = fetch_chart(store, ["temperature"], Span(NOON, NOON + 180, 3))
    assert [text for text, *_ in store.asked] == ["rollup(temperature[60s]) keep_metric_names"]
    assert chart.times == [NOON + 30, NOON + 90, NOON + 150]
    (line,) = chart.lines
    assert (line.mean, line.low, line.high) == ([2, 4, None], [1, 3, None], [3, None, None])
    assert line.series.title == 'temperature{sensor="oven"}'


def test_what_is_calculated_has_one_figure_and_the_query_for_a_name() -> None:
    store = FakeStore({"avg(temperature)": [Series({}, [NOON + 120], [7])]})
    chart = fetch_chart(store, ["avg(temperature)"], Span(NOON, NOON + 180, 3))
    (line,) = chart.lines
    assert (line.series.metric, line.mean, line.low) == ("avg(temperature)", [None, 7, None], [])


def test_series_of_two_queries_is_one_line_and_most_are_told_of() -> None:
    many = [rolled(f"s{number:02}", "avg", 1) for number in range(LINES + 5)]
    one = 'rollup({__name__="temperature",sensor="s00"}[60s]) keep_metric_names'
    store = FakeStore({"rollup(temperature[60s]) keep_metric_names": many, one: many[:1]})
    queries = ["temperature", '{__name__="temperature",sensor="s00"}']
    chart = fetch_chart(store, queries, Span(NOON, NOON + 180, 3))
    assert (len(chart.lines), chart.found) == (LINES, LINES + 5)


def test_a_step_that_has_not_ended_stands_at_now() -> None:
    now = time.time()
    chart = fetch_chart(FakeStore({}), [], Span(now - 30 * 86400, now, 400))
    assert now - 7200 <= chart.times[-1] <= now + 1
    assert list(chart.times) == sorted(chart.times)


@pytest.mark.parametrize("text", ["temperature", '{__name__="a b",x="1"}', 'a:b{c=~".+"}', "{}", r'{a="(b{\"}"}'])
def test_a_selector_names_stored_series(text: str) -> None:
    assert is_selector(text)


@pytest.mark.parametrize("text", ["", "avg(a)", "a[5m]", "a + b", "1a", "a{} or b{}", r'a{b="\"}'])
def test_what_calculates_is_no_selector(text: str) -> None:
    assert not is_selector(text)


def test_means_of_several_series_are_one_request() -> None:
    selectors = [write_selector("a", {"sensor": "x"}), write_selector("b", {})]
    text = 'avg_over_time({__name__="a",sensor="x" or __name__="b"}[60s]) keep_metric_names'
    store = FakeStore({text: [Series({"__name__": "b"}, [NOON + 60], [2.0])]})
    (line,) = fetch_means(store, selectors, Span(NOON, NOON + 180, 3))
    assert (line.series.metric, line.mean) == ("b", [2.0, None, None])
    assert len(store.asked) == 1 and fetch_means(store, [], Span(NOON, NOON + 180, 3)) == []
