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

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        return self.query_range(text, at or 0, at or 0, 0)

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


WHOLE = 'aggr_over_time(("last_over_time", "avg_over_time"), temperature[180.000s]) keep_metric_names'


def whole(sensor: str, last: float, average: float) -> list[Series]:
    labels = {"__name__": "temperature", "sensor": sensor}
    kinds = {"last_over_time": last, "avg_over_time": average}
    return [Series({**labels, "rollup": kind}, [NOON + 180], [value]) for kind, value in kinds.items()]


def test_stored_readings_have_their_mean_lowest_and_highest() -> None:
    series = [rolled("oven", "avg", 2, 4), rolled("oven", "min", 1, 3), rolled("oven", "max", 3, float("nan"))]
    query = "rollup(temperature[60s]) keep_metric_names"
    store = FakeStore({query: series, WHOLE: whole("oven", 5, float("nan"))})
    chart = fetch_chart(store, ["temperature"], span=Span(NOON, NOON + 180, 3))
    assert [text for text, *_ in store.asked] == [WHOLE, query]
    assert chart.times == [NOON + 30, NOON + 90, NOON + 150]
    (line,) = chart.lines
    assert (line.mean, line.low, line.high) == ([2, 4, None], [1, 3, None], [3, None, None])
    assert (line.last, line.average) == (5, None)
    assert line.series.title == 'temperature{sensor="oven"}'


def test_nothing_more_is_asked_of_what_has_no_readings() -> None:
    store = FakeStore({WHOLE: []})
    assert fetch_chart(store, ["temperature"], span=Span(NOON, NOON + 180, 3)).found == len(store.asked) - 1 == 0


def test_what_is_calculated_has_one_figure_and_the_query_for_a_name() -> None:
    store = FakeStore({"limitk(21, avg(temperature)\n)": [Series({}, [NOON + 120], [7])]})
    chart = fetch_chart(store, ["avg(temperature)"], span=Span(NOON, NOON + 180, 3))
    (line,) = chart.lines
    assert (line.series.metric, line.mean, line.low) == ("avg(temperature)", [None, 7, None], [])
    assert chart.found == 1


def test_of_many_calculated_series_as_many_are_read_as_are_drawn_and_one_more() -> None:
    many = [Series({"sensor": f"s{number:02}"}, [NOON + 60], [1]) for number in range(LINES + 1)]
    answers = {f"limitk({LINES + 1}, a * 2\n)": many, "count(a * 2\n)": [Series({}, [NOON], [1000])]}
    chart = fetch_chart(FakeStore(answers), ["a * 2"], span=Span(NOON, NOON + 180, 3))
    assert (len(chart.lines), chart.found) == (LINES, 1000)


def test_steps_are_read_of_as_many_series_as_are_drawn() -> None:
    names = [f"s{number:02}" for number in range(LINES + 5)]
    first = " or ".join(f'__name__="temperature",sensor="{name}"' for name in names[:LINES])
    one = '{__name__="temperature",sensor="s00"}'
    answers = {
        WHOLE: [each for name in names for each in whole(name, 1, 1)],
        f"rollup({{{first}}}[60s]) keep_metric_names": [rolled(name, "avg", 1) for name in names[:LINES]],
        WHOLE.replace("temperature", one): whole("s00", 1, 1),
        f"rollup({one}[60s]) keep_metric_names": [rolled("s00", "avg", 1)],
    }
    chart = fetch_chart(FakeStore(answers), ["temperature", one], span=Span(NOON, NOON + 180, 3))
    assert (len(chart.lines), chart.found) == (LINES, LINES + 5)
    assert all(line.mean == [1, None, None] for line in chart.lines)


def test_a_step_that_has_not_ended_stands_at_now() -> None:
    now = time.time()
    chart = fetch_chart(FakeStore({}), [], span=Span(now - 30 * 86400, now, 400))
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
    (line,) = fetch_means(store, selectors, span=Span(NOON, NOON + 180, 3))
    assert (line.series.metric, line.mean) == ("b", [2.0, None, None])
    assert len(store.asked) == 1 and fetch_means(store, [], span=Span(NOON, NOON + 180, 3)) == []
