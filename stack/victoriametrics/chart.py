"""What a chart of readings draws: figures at even steps, of stored readings their mean, lowest and highest."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stack.errors import DataError
from stack.victoriametrics.client import Series, Store, is_selector

# Lines that can still be told apart, and series of which a query is read.
LINES = 20
# Seconds of a step that a reader can name.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_POINTS = 1000
_SHORTEST = 10.0
# Below this the store writes the value of before where a step has not ended.
_SETTLED_STEP = 60
_ROLLUP = "rollup"

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


@dataclass(frozen=True)
class Chart:
    """Lines over the same times, which are the middle of each step; `found` are those that there would be."""

    span: Span
    times: Sequence[float]
    lines: Sequence[Line]
    found: int


def fetch_chart(store: Store, queries: Sequence[str], span: Span) -> Chart:
    """Return the chart of selectors of series and of queries in PromQL.

    Raises:
        DataError: the store does not answer, or cannot read a query.
    """
    lines: dict[str, Line] = {}
    for query in queries:
        lines |= {line.series.title: line for line in _fetch_lines(store, query, span)}
    now, half = time.time(), span.step / 2
    times = [min(end - half, max(now, end - 2 * half)) for end in span.ends]
    return Chart(span, times, list(lines.values())[:LINES], len(lines))


def fetch_means(store: Store, selectors: Sequence[str], span: Span) -> list[Line]:
    """Return the means of all series that selectors as `write_selector` writes them name, by one request.

    Raises:
        DataError: the store does not answer.
    """
    if not selectors:
        return []
    ends, step = span.ends, span.step
    matchers = " or ".join(one[1:-1] for one in selectors)
    text = f"avg_over_time({{{matchers}}}[{step}s]) keep_metric_names"
    return [Line(one, place_values(one, ends), [], []) for one in store.query_range(text, ends[0], ends[-1], step)]


def _fetch_lines(store: Store, query: str, span: Span) -> Iterator[Line]:
    ends, step = span.ends, span.step
    is_stored = is_selector(query)
    text = f"rollup({query}[{step}s]) keep_metric_names" if is_stored else query
    groups: dict[str, dict[str, Values]] = {}
    series: dict[str, Series] = {}
    for one in store.query_range(text, ends[0], ends[-1], step):
        kind = one.labels.get(_ROLLUP, "avg") if is_stored else "avg"
        labels = {name: value for name, value in one.labels.items() if not (is_stored and name == _ROLLUP)}
        # What is calculated may have no labels; its title is the query then.
        whole = Series(labels or {"__name__": query}, one.times, one.values)
        series[whole.title] = whole
        groups.setdefault(whole.title, {})[kind] = place_values(one, ends)
    for title in sorted(groups):
        kinds = groups[title]
        yield Line(series[title], kinds.get("avg", []), kinds.get("min", []), kinds.get("max", []))


def place_values(series: Series, ends: range) -> Values:
    """Return a value for each step; none where there is none."""
    values: Values = [None] * len(ends)
    for moment, value in zip(series.times, series.values, strict=True):
        at = round((moment - ends.start) / ends.step)
        if 0 <= at < len(values) and math.isfinite(value):
            values[at] = value
    return values
