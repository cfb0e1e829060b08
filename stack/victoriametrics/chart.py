"""What a chart of readings draws: figures at even steps, of stored readings their mean, lowest and highest."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stack.errors import DataError
from stack.victoriametrics.client import Series, Store, is_selector, join_selectors, write_selector

# Lines that can still be told apart; of other series no step is read.
LINES = 20
# Seconds of a step that a reader can name.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_POINTS = 1000
_SHORTEST = 10.0
# Below this the store writes the value of before where a step has not ended.
_SETTLED_STEP = 60
# The label in which the store writes what a value is, and what it writes there.
_ROLLUP = "rollup"
_KINDS = ("avg", "min", "max")
_LAST, _AVERAGE = "last_over_time", "avg_over_time"
_NAME = "__name__"

_NOTHING = Series({}, (), ())

Values = list[float | None]


@dataclass(frozen=True)
class Span:
    """A piece of time in seconds since 1970, and into how many steps it is to be divided, or fewer."""

    start: float
    end: float
    points: int = 400

    def __post_init__(self) -> None:
        """Refuse what no chart has.

        Raises:
            DataError: it ends before it begins, or is no time.
        """
        if not (0 <= self.start < self.end < 1e11):
            raise DataError("The chart should end after it begins.")

    @property
    def step(self) -> int:
        """Return the seconds of a step."""
        least = max(self.end - self.start, _SHORTEST) / max(2, min(self.points, _MOST_POINTS))
        return next((step for step in _STEPS if step >= least), math.ceil(least / _STEPS[-1]) * _STEPS[-1])

    @property
    def ends(self) -> range:
        """Return the end of each step, at multiples of it."""
        step = self.step
        last = math.floor(self.end / step) if step < _SETTLED_STEP else math.ceil(self.end / step)
        first = math.floor(self.start / step) + 1
        return range(first * step, (max(first, last) + 1) * step, step)


@dataclass(frozen=True)
class Line:
    """The figures of one series, for each step; of what a query has calculated only one, as `mean`."""

    series: Series
    mean: Values
    low: Values
    high: Values
    last: float | None = None
    average: float | None = None
    """The last reading of the whole time, and the mean of all; where they are none, of a step."""


@dataclass(frozen=True)
class Chart:
    """Lines over the same times, which are the middle of each step; `found` are those that there would be."""

    span: Span
    times: Sequence[float]
    lines: Sequence[Line]
    found: int


def fetch_chart(store: Store, queries: Sequence[str], *, span: Span) -> Chart:
    """Return the chart of selectors of series and of queries in PromQL.

    Raises:
        DataError: the store does not answer, or cannot read a query.
    """
    lines: dict[str, Line] = {}
    hidden = 0
    for query in queries:
        found, count = (_fetch_stored if is_selector(query) else _fetch_calculated)(store, query, span)
        lines |= {line.series.title: line for line in found}
        hidden += count - len(found)
    now, half = time.time(), span.step / 2
    times = [min(end - half, max(now, end - 2 * half)) for end in span.ends]
    return Chart(span, times, list(lines.values())[:LINES], len(lines) + hidden)


def fetch_means(store: Store, selectors: Sequence[str], *, span: Span) -> list[Line]:
    """Return the means of all series that selectors as `write_selector` writes them name, by one request.

    Raises:
        DataError: the store does not answer.
    """
    if not selectors:
        return []
    ends, step = span.ends, span.step
    text = f"avg_over_time({join_selectors(selectors)}[{step}s]) keep_metric_names"
    return [Line(one, place_values(one, ends), [], []) for one in store.query_range(text, ends[0], ends[-1], step)]


def _fetch_stored(store: Store, selector: str, span: Span) -> tuple[list[Line], int]:
    """Return the first lines of stored series, and how many series have readings in this time."""
    whole = f'aggr_over_time(("{_LAST}", "{_AVERAGE}"), {selector}[{span.end - span.start:.3f}s]) keep_metric_names'
    figures = _group(store.query(whole, at=span.end))
    titles = sorted(figures)[:LINES]
    if not titles:
        return [], 0
    if len(figures) > LINES:
        selector = _join([next(iter(figures[title].values())) for title in titles])
    ends, step = span.ends, span.step
    kinds = _group(store.query_range(f"rollup({selector}[{step}s]) keep_metric_names", ends[0], ends[-1], step))
    return [_build_line(kinds.get(title, {}), figures[title], ends=ends) for title in titles], len(figures)


def _fetch_calculated(store: Store, query: str, span: Span) -> tuple[list[Line], int]:
    """Return the first lines of what a query calculates, and how many there would be."""
    ends, step = span.ends, span.step
    # The line's end is that of a comment.
    found = store.query_range(f"limitk({LINES + 1}, {query}\n)", ends[0], ends[-1], step)
    count = len(found)
    if count > LINES:
        count = max([count, *(int(one.values[0]) for one in store.query(f"count({query}\n)", at=span.end))])
    # What is calculated may have no labels; its title is the query then.
    series = sorted((Series(one.labels or {_NAME: query}, one.times, one.values) for one in found), key=_title)
    return [Line(one, place_values(one, ends), [], []) for one in series[:LINES]], count


def _title(series: Series) -> str:
    return series.title


def _group(found: Sequence[Series]) -> dict[str, dict[str, Series]]:
    """Return what is told of each series, by its title and by what it is: what the store writes into a label."""
    groups: dict[str, dict[str, Series]] = {}
    for one in found:
        labels = {name: value for name, value in one.labels.items() if name != _ROLLUP}
        whole = Series(labels, one.times, one.values)
        groups.setdefault(whole.title, {})[one.labels.get(_ROLLUP, "")] = whole
    return groups


def _build_line(kinds: Mapping[str, Series], figures: Mapping[str, Series], *, ends: range) -> Line:
    mean, low, high = (place_values(kinds.get(kind, _NOTHING), ends) for kind in _KINDS)
    last, average = (_find_value(figures.get(kind, _NOTHING)) for kind in (_LAST, _AVERAGE))
    return Line(next(iter(figures.values())), mean, low, high, last, average)


def _join(series: Sequence[Series]) -> str:
    return join_selectors([write_selector(one.metric, one.own_labels) for one in series])


def _find_value(series: Series) -> float | None:
    return next(filter(math.isfinite, series.values), None)


def place_values(series: Series, ends: range) -> Values:
    """Return a value for each step; none where there is none."""
    values: Values = [None] * len(ends)
    for moment, value in zip(series.times, series.values, strict=True):
        at = round((moment - ends.start) / ends.step)
        if 0 <= at < len(values) and math.isfinite(value):
            values[at] = value
    return values
