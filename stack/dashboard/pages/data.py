"""The page of readings: what the store has, as a tree and as charts; the figures of a chart as JSON and CSV."""

import csv
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import StringIO
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from stack.config.settings import Settings
from stack.dashboard.page import answer_failure, render
from stack.dashboard.services import Services, services_of
from stack.errors import DataError
from stack.run.readings_file import write_labels, write_time
from stack.victoriametrics.chart import Chart, Line, Span, Values, fetch_chart
from stack.victoriametrics.client import ANY, OWN, Series, find_store, write_selector

# Series that the tree shows at once; the field above it finds the others.
_SHOWN = 300
# Series of one branch of the tree, which has branches for a label's values where there are more.
_MANY = 8
_SECONDS = 3600.0
# Values that a chart has for each line, unless it asks for more or fewer.
_POINTS = 400
_DIGITS = 7


def routes() -> list[BaseRoute]:
    """Return the routes of the page and of its figures."""
    return [
        Route("/data", show_data),
        Route("/data/series", show_series),
        Route("/data/chart", send_chart),
        Route("/data/csv", send_csv),
    ]


def chart_address(queries: Sequence[str], seconds: float = _SECONDS) -> str:
    """Return where the chart of some queries is, of the last while."""
    return "/data?" + urlencode([*(("q", query) for query in queries), ("since", f"{seconds:g}")])


def find_grafana(settings: Settings, page: URL) -> str:
    """Return where Grafana is, if there is one; it has no TLS, and with that other machines may not reach it."""
    is_far = settings.tls.is_on and page.scheme == "https" and not settings.is_open("grafana")
    return f"http://{page.hostname}:{settings.ports.grafana}/" if settings.data.grafana and not is_far else ""


async def show_data(request: Request) -> Response:
    """Show the page."""
    settings = services_of(request).stack().settings
    grafana = find_grafana(settings, request.url)
    return render(request, "data.html", data=settings.data, grafana=grafana)


async def show_series(request: Request) -> Response:
    """Show the tree of series, each with its last value, as far as their titles have what is looked for."""
    wanted = request.query_params.get("filter", "").lower()
    selector = OWN if request.query_params.get("own") else ANY
    try:
        found = await run_in_threadpool(_fetch_last, services_of(request), selector)
    except DataError as error:
        return render(request, "_data_series.html", problem=str(error))
    series = [one for one in found if wanted in one.title.lower()]
    tree = _build_tree(series)
    return render(request, "_data_series.html", problem="", tree=tree, found=len(series), shown=_SHOWN, all=len(found))


async def send_chart(request: Request) -> Response:
    """Answer what a chart draws, as JSON."""
    return await _answer(request, lambda chart: JSONResponse(_describe(chart)))


async def send_csv(request: Request) -> Response:
    """Answer what a chart draws, as a file."""
    headers = {"Content-Disposition": 'attachment; filename="readings.csv"'}
    return await _answer(
        request, lambda chart: StreamingResponse(_write_rows(chart), media_type="text/csv", headers=headers)
    )


async def _answer(request: Request, write: Callable[[Chart], Response]) -> Response:
    try:
        queries, span = request.query_params.getlist("q"), _read_span(request.query_params)
        return write(await run_in_threadpool(_fetch_chart, services_of(request), queries, span))
    except DataError as error:
        return answer_failure(request, 422, message=str(error))


def _read_span(fields: Mapping[str, str]) -> Span:
    """Return the time that is asked for: from `from` to `to`, or the last `since` seconds."""
    try:
        end = float(fields.get("to") or time.time())
        start = float(fields.get("from") or end - float(fields.get("since") or _SECONDS))
        return Span(start, end, int(fields.get("points") or _POINTS))
    except ValueError:
        raise DataError(
            "from, to, since and points should be numbers: seconds since 1970, seconds, and how many."
        ) from None


def _fetch_chart(services: Services, queries: Sequence[str], span: Span) -> Chart:
    return fetch_chart(find_store(services.stack()), queries, span=span)


def _fetch_last(services: Services, selector: str) -> Sequence[Series]:
    stack = services.stack()
    return services.last_values[selector].fetch(find_store(stack), stack.settings.data.retention_seconds)


def _build_tree(found: Sequence[Series]) -> list[dict[str, Any]]:
    """Return the tree of all series, in which the first of them stand, and the others are counted."""
    ordered = sorted(found, key=lambda one: (one.metric, one.title))
    shown = frozenset(one.title for one in ordered[:_SHOWN])
    groups = {metric: list(group) for metric, group in groupby(ordered, key=lambda one: one.metric)}
    return [
        {"title": metric, "selector": metric, **_describe_branch(metric, group, above={}, shown=shown)}
        for metric, group in groups.items()
    ]


def _describe_branch(
    metric: str, found: Sequence[Series], *, above: Mapping[str, str], shown: Collection[str]
) -> dict[str, Any]:
    """Return a branch of the tree: labels that all its series have alike stand there once, and many series in branches.

    `above` has the labels that stand at the branches above it.
    """
    first, *others = (one.own_labels for one in found)
    alike = {name: value for name, value in first.items() if others and all(one.get(name) == value for one in others)}
    known = {**above, **alike}
    divider = _find_divider(found, known)
    branches = [
        {"title": f"{divider}={value}", **_describe_branch(metric, group, above={**known, divider: value}, shown=shown)}
        | {"selector": write_selector(metric, {**known, divider: value})}
        for value, group in _divide(found, divider).items()
    ]
    labels = {name: value for name, value in alike.items() if name not in above}
    series = [] if divider else [_describe_series(one, known) for one in found if one.title in shown]
    return {"labels": labels, "count": len(found), "branches": branches, "series": series}


def _find_divider(found: Sequence[Series], known: Mapping[str, str]) -> str:
    """Return the label that divides many series into the fewest branches; nothing where each would have its own."""
    names = set.intersection(*(set(one.own_labels) for one in found)) - known.keys()
    counts = {name: len({one.own_labels[name] for one in found}) for name in sorted(names)}
    fitting = [name for name, count in counts.items() if count < len(found)]
    return min(fitting, key=counts.__getitem__, default="") if len(found) > _MANY else ""


def _divide(found: Sequence[Series], label: str) -> dict[str, list[Series]]:
    groups: dict[str, list[Series]] = {}
    for one in found if label else ():
        groups.setdefault(one.own_labels[label], []).append(one)
    return dict(sorted(groups.items()))


def _describe_series(series: Series, common: Mapping[str, str]) -> dict[str, Any]:
    selector = write_selector(series.metric, series.own_labels)
    labels = {name: value for name, value in series.own_labels.items() if name not in common}
    return {"selector": selector, "labels": labels, "value": f"{series.values[-1]:.6g}", "time": series.times[-1]}


def _describe(chart: Chart) -> dict[str, Any]:
    span = {"start": chart.span.start, "end": chart.span.end, "step": chart.span.step}
    return {**span, "times": chart.times, "found": chart.found, "lines": [_describe_line(one) for one in chart.lines]}


def _describe_line(line: Line) -> dict[str, Any]:
    series = line.series
    names = {"title": series.title, "metric": series.metric, "labels": series.own_labels}
    figures = {"mean": _round(line.mean), "low": _round(line.low), "high": _round(line.high)}
    return {**names, **figures, "last": line.last, "average": line.average}


def _round(values: Values) -> Values:
    """Return values as exact as a page writes them, which are half as long."""
    return [None if value is None else float(f"{value:.{_DIGITS}g}") for value in values]


def _write_rows(chart: Chart) -> Iterator[str]:
    yield "time,metric,labels,mean,min,max\n"
    for line in chart.lines:
        text, series = StringIO(), line.series
        rows, labels, none = csv.writer(text, lineterminator="\n"), write_labels(series), [""] * len(chart.times)
        for moment, mean, low, high in zip(chart.times, line.mean, line.low or none, line.high or none, strict=True):
            if mean is not None:
                rows.writerow((write_time(moment), series.metric, labels, mean, low, high))
        yield text.getvalue()
