"""`invoke readings` and `invoke data`: what the store has, for a person or as a file."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, isfinite

from stack import console
from stack.config.data import LABEL
from stack.contract import parse_days
from stack.docker.stack import Stack, open_stack
from stack.errors import ConfigError, DataError
from stack.plan.alert import find_silent
from stack.plan.store import NOTES, quote
from stack.run.readings_file import FORMATS, write_series, write_time
from stack.victoriametrics.client import Series, Store, find_store, is_selector, write_selector
from stack.victoriametrics.state import read_state

# Characters of the chart of a series, from the lowest to the highest value.
_BARS = "▁▂▃▄▅▆▇█"
_CHART_WIDTH = 24
_FOLLOW_SECONDS = 1.0
# Seconds that a device's clock may be ahead for the recorder.
_AHEAD = 3600.0
# Series that a table shows, and the steps of a query that says nothing of them.
_SHOWN, _STEPS = 50, 100
# Seconds after which what vmalert has calculated is found in the store: it sends that twice a second, and the store
# finds what it has taken a second later.
_NOTE_SECONDS = 2.0
# No readings are kept longer.
_ALL_TIME = "100y"


@dataclass(frozen=True)
class ReadingsRequest:
    """Which readings, of the last while, and in what form."""

    metric: str = ""
    since: str = "1h"
    every: str = ""
    labels: Mapping[str, str] | None = None
    format: str = "table"
    output: str = ""

    @property
    def is_query(self) -> bool:
        """Return whether it is asked for what is to be calculated."""
        return not (self.metric == "" or is_selector(self.metric))

    @property
    def selector(self) -> str:
        """Return the series that are asked for, in PromQL; what is PromQL itself stays as it is."""
        return self.metric if "{" in self.metric or self.is_query else write_selector(self.metric, self.labels or {})

    @property
    def seconds(self) -> float:
        """Return how long ago the readings begin."""
        return _read_seconds("--since", self.since)

    @property
    def step(self) -> float:
        """Return the seconds between two mean values; 0 is every reading as it is."""
        return _read_seconds("--every", self.every) if self.every else 0.0


def print_readings(request: ReadingsRequest, *, follow: bool) -> None:
    """Show readings, or write them to a file.

    Raises:
        StackError: an option makes no sense, there is no store, or it does not answer.
    """
    if request.format not in ("table", *FORMATS):
        raise DataError(f"--format {request.format}: should be one of table, {', '.join(FORMATS)}.")
    if request.format == "parquet" and not request.output:
        raise DataError("--format parquet needs a file: --output readings.parquet.")
    _refuse_labels(request)
    if follow:
        _check_follow(request)
    store = find_store(open_stack())
    if follow:
        _follow(store, request)
    elif request.format == "table" and not request.output:
        _show(store, request)
    else:
        count = write_series(find_series(store, request), request.format, path=request.output)
        if request.output:
            console.success(f"{count} readings are in {request.output}.")


def read_labels(texts: Sequence[str]) -> dict[str, str]:
    """Return labels by name.

    Raises:
        DataError: one is not written as NAME=VALUE.
    """
    labels = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and LABEL.fullmatch(name)):
            raise DataError(f"--labels {text}: should be such as sensor=oven; a name has letters, digits and _.")
        labels[name] = value
    return labels


def manage_data(action: str, metric: str, *, labels: Mapping[str, str], yes: bool) -> None:
    """Show how much is kept, or delete the readings of a metric, or of some of its series, of all time.

    Raises:
        DataError: there is no such action, it names no readings, or the store does not answer.
        DeclinedError: they are not to be deleted after all.
    """
    if not (action or metric or labels):
        _show_size()
        return
    if action != "forget" or not (metric or labels):
        raise DataError("Type `invoke data forget METRIC`, or `invoke data forget --labels sensor=oven`.")
    # All that has not the label would go, also what the stack writes down of itself.
    if empty := [name for name, value in labels.items() if not value]:
        raise DataError(f"--labels {empty[0]}=: needs a value; without it, it is all that has no label {empty[0]}.")
    request = ReadingsRequest(metric, labels=labels)
    if request.is_query:
        raise DataError(f'{metric}: should be a metric, or a selector such as temperature{{sensor="oven"}}.')
    _refuse_labels(request)
    stack = open_stack(is_lenient=True)
    store = find_store(stack)
    found, watched = store.query(_find_all(request.selector)), _find_watched(stack, store)
    titles = sorted(one.title for one in found)
    if not titles:
        raise DataError(f"There are no readings of {request.selector}. `invoke readings` shows what there is.")
    shown = ", ".join(titles[:3]) + (f" and {len(titles) - 3} more" if len(titles) > 3 else "")
    console.confirm(f"Delete all readings of {shown}, of all time?", yes=yes)
    store.delete(request.selector)
    settle_last_seen(store, found, watched=watched)
    console.success(f"Deleted: {len(titles)} series.")


def _check_follow(request: ReadingsRequest) -> None:
    """Refuse what has no effect on readings that are shown as they are stored."""
    if request.is_query:
        raise DataError(f"{request.metric}: is calculated and never stored; --follow needs a metric, or a selector.")
    others = {"--every": request.every, "--output": request.output, "--format": request.format != "table"}
    if wrong := [name for name, is_there in others.items() if is_there]:
        raise DataError(f"--follow shows each reading as it is stored; leave out {' and '.join(wrong)}.")


def _refuse_labels(request: ReadingsRequest) -> None:
    """Refuse labels that would have no effect.

    Raises:
        DataError: there are some, and what they should choose among names series itself.
    """
    if request.labels and request.selector == request.metric:
        name, value = next(iter(request.labels.items()))
        raise DataError(f"--labels goes with a metric alone; write {name}={quote(value)} into {request.metric}.")


def _find_all(selector: str) -> str:
    """Return the query of each series that there is."""
    return f"last_over_time({selector}[{_ALL_TIME}])"


def _find_watched(stack: Stack, store: Store) -> dict[str, list[Series]]:
    """Return the series that each alert expects to come, by its name."""
    found: dict[str, list[Series]] = {}
    for one in stack.alerts:
        # One about what is not kept expects nothing.
        with suppress(ConfigError):
            if one.config.silent:
                found[one.name] = store.query(_find_all(find_silent(one, stack.settings.data)))
    return found


def settle_last_seen(store: Store, gone: Sequence[Series], *, watched: Mapping[str, Sequence[Series]]) -> None:
    """Have alerts expect nothing of series that are gone, nor what they were about to write down meanwhile."""
    forget_last_seen(store, gone, watched=watched)
    if watched:
        time.sleep(_NOTE_SECONDS)
        forget_last_seen(store, gone, watched=watched)


def forget_last_seen(store: Store, gone: Sequence[Series], *, watched: Mapping[str, Sequence[Series]]) -> None:
    """Have alerts expect nothing of series that are gone: they write down each minute when those came last.

    A metric that stays, with the same labels, is still expected by an alert that is about it.
    """
    titles = {one.title for one in gone}
    noted = [one.own_labels for one in store.query(f'last_over_time({{__name__=~"{NOTES}.+"}}[1h])')]
    names = {name for labels in noted for name in labels}
    for labels in noted:
        own, expected = _without(labels, "alert"), watched.get(labels.get("alert", ""), gone)
        ended = _list_labels(one for one in expected if one.title in titles)
        if own in ended and own not in _list_labels(one for one in expected if one.title not in titles):
            # A label that it has not is empty: what has it is another series.
            pairs = [f"{name}={quote(labels.get(name, ''))}" for name in sorted(names)]
            store.delete(f'{{__name__=~"{NOTES}.+", {", ".join(pairs)}}}')


def _list_labels(series: Iterable[Series]) -> list[dict[str, str]]:
    """Return the labels of series, and those without the place in a body, which alerts may leave out."""
    return [labels for one in series for labels in (one.own_labels, _without(one.own_labels, "field"))]


def _without(labels: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != name}


def _show_size() -> None:
    stack = open_stack()
    state = read_state(find_store(stack).fetch_metrics())
    console.show(f"{state} Readings are kept for {stack.settings.data.retention}.")
    for trouble in state.troubles:
        console.warn(str(trouble))


def _read_seconds(option: str, text: str) -> float:
    try:
        seconds = parse_days(text)
    except ValueError:
        raise DataError(f"{option} {text}: should be such as 30s, 5m, 1h or 7d.") from None
    if seconds <= 0:
        raise DataError(f"{option} {text}: should be more than nothing.")
    return seconds


def find_series(store: Store, request: ReadingsRequest) -> Iterator[Series]:
    """Yield readings as they are, or their means; of a long series several times some of them."""
    end = time.time()
    start = end - request.seconds
    if request.is_query:
        yield from store.query_range(request.metric, start, end, request.step or request.seconds / _STEPS)
    elif request.step:
        query = f"avg_over_time({request.selector}[{request.step:g}s])"
        # The last of the means ends now, and the first one has the beginning in it.
        first = end - (ceil(request.seconds / request.step) - 1) * request.step
        yield from store.query_steps(query, first, end, request.step)
    else:
        yield from store.export(request.selector, start, end)


def _show(store: Store, request: ReadingsRequest) -> None:
    whole: dict[str, Series] = {}
    for one in find_series(store, request):
        before = whole.get(one.title, replace(one, times=(), values=()))
        whole[one.title] = replace(one, times=[*before.times, *one.times], values=[*before.values, *one.values])
    if not whole:
        _tell_nothing(store, request)
        return
    columns = ("series", "points", "min", "mean", "max", "last", "age", *(("",) if console.is_terminal() else ()))
    shown = sorted(whole.values(), key=lambda one: one.title)
    console.show_table(columns, [_describe(one, columns) for one in shown[:_SHOWN]])
    if len(shown) > _SHOWN:
        console.note(f"{len(shown) - _SHOWN} more series; a metric, --labels or --format csv tells of them.")


def _tell_nothing(store: Store, request: ReadingsRequest) -> None:
    names = store.list_metrics()
    known = f"metrics: {', '.join(names[:20])}" if names else "the store is empty"
    console.say(f"There are no readings of {request.metric or 'any metric'} in the last {request.since}; {known}.")
    console.say("Next: `invoke readings --since 30d` looks further back; `invoke watch '#'` shows what arrives now.")


def _describe(series: Series, columns: Sequence[str]) -> dict[str, str]:
    values = series.values
    figures = (min(values), sum(values) / len(values), max(values), values[-1])
    texts = [series.title, str(len(values)), *(f"{one:.6g}" for one in figures), _tell_age(series.times[-1])]
    return dict(zip(columns, [*texts, _draw(values)], strict=False))


def _tell_age(moment: float) -> str:
    seconds = max(0, round(time.time() - moment))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _draw(values: Sequence[float]) -> str:
    """Return a chart of values in a line, each character the mean of some of them."""
    width = min(_CHART_WIDTH, len(values))
    bounds = [round(at * len(values) / width) for at in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds)]
    finite = [one for one in means if isfinite(one)] or [0.0]
    low, high = min(finite), max(finite)
    return "".join(_BARS[_find_bar(one, low, high=high)] for one in means)


def _find_bar(mean: float, low: float, *, high: float) -> int:
    """Return how high a mean stands; what a query divides by zero is as high, or as low, as a chart goes."""
    top = len(_BARS) - 1
    if not isfinite(mean):
        return top if mean > 0 else 0
    # Halves of both, whose difference is finite.
    span = high / 2 - low / 2
    return round((mean / 2 - low / 2) / span * top) if span > 0 else 0


def _follow(store: Store, request: ReadingsRequest) -> None:
    """Print each reading as it is stored, until Ctrl-C; a store that goes is waited for."""
    last: dict[str, float] = {}
    looked, is_there = time.time(), True
    list(_find_new(store, request, last, since=looked))
    console.note("Each reading as it is stored; Ctrl-C ends it.")
    while True:
        time.sleep(_FOLLOW_SECONDS)
        now = time.time()
        try:
            for line in _find_new(store, request, last, since=looked):
                console.show(line)
            looked, is_there = now, True
        except DataError as error:
            if is_there:
                console.warn(f"{error} What is stored then is shown here.")
            is_there = False


def _find_new(store: Store, request: ReadingsRequest, last: dict[str, float], *, since: float) -> Iterator[str]:
    """Yield a line for each reading that is later than the last one of its series, whatever its device's clock says."""
    before = dict(last)
    for series in store.export(request.selector, since - request.seconds, time.time() + _AHEAD):
        known = before.get(series.title, 0.0)
        for moment, value in zip(series.times, series.values, strict=True):
            if moment > known:
                last[series.title] = max(moment, last.get(series.title, 0.0))
                yield f"{write_time(moment)}  {series.title}  {value:g}"
