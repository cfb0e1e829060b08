"""The tab of a function's figures: charts of the last half hour, and the sums since its containers started.

The charts begin with what the store has, where the stack's own figures are kept; else when the tab is opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.figures import write_bytes, write_count
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import answer_failure
from stack.dashboard.pages.data import chart_address
from stack.dashboard.pages.function import find_record, render_tab
from stack.dashboard.services import Services, services_of
from stack.errors import DataError
from stack.victoriametrics.chart import Chart, Span, fetch_chart
from stack.victoriametrics.client import Store, find_store

_TOPIC = "metrics:"
_DAY = 86_400.0
# Seconds of the past with which charts begin, into how many values they are divided, and over how many looks of the
# store at a function's figures a rate is told.
_PAST, _POINTS, _LOOKS = 1800.0, 120, 4
_LEAST_WINDOW = 60.0
_COLUMNS = {
    "events": "Events",
    "failures": "Failures",
    "retried": "Retries",
    "dead": "Dead letters",
    "in_flight": "In flight",
    "reconnects": "Reconnects",
    "restarts": "Restarts",
}
# The sums in which something else than none is worth a look.
_LEVELS = {"failures": "error", "dead": "error", "retried": "warn", "restarts": "warn"}


@dataclass(frozen=True)
class Total:
    """A sum over all replicas, and how grave it is."""

    key: str
    title: str
    text: str
    level: str = ""


def _describe(_: Services, _name: str, known: Known) -> dict[str, Any]:
    points = (known[_TOPIC] or {}).get("entries", ())
    replicas = points[-1].get("replicas") if points else None
    return {"replicas": replicas, "columns": _COLUMNS, "totals": sum_replicas(replicas or ())}


def sum_replicas(replicas: Sequence[Mapping[str, Any]]) -> list[Total]:
    """Return the sums over all replicas; a dash stands for what none of them tells."""
    sums = {key: _sum(one[key] for one in replicas) for key in (*_COLUMNS, "memory")}
    totals = [
        Total(key, title, write_count(sums[key]), _LEVELS.get(key, "") if sums[key] else "")
        for key, title in _COLUMNS.items()
    ]
    return [*totals, Total("memory", "Memory", write_bytes(sums["memory"]))]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


TOTALS = Fragment("metrics-totals:", "_metrics_totals.html", (_TOPIC,), _describe)
REPLICAS = Fragment("metrics-replicas:", "_metrics_replicas.html", (_TOPIC,), _describe)


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [Route("/functions/{name}/metrics", show_tab), Route("/functions/{name}/metrics/past", send_past)]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    name = request.path_params["name"]
    data = services_of(request).data()
    queries = build_queries(name, data.scrape_seconds)
    past = chart_address([queries["rate"], queries["failure_rate"]], _DAY) if data.is_scraped else ""
    return await render_tab(
        request, "metrics.html", name=name, past=past, **await look(request, f"{TOTALS.name}{name}")
    )


async def send_past(request: Request) -> Response:
    """Answer what the store has of the last half hour, as points of the topic `metrics:NAME` without replicas.

    Raises:
        HTTPException: there is no such function.
    """
    record, stack = await find_record(request), services_of(request).stack()
    queries = build_queries(record.name, stack.settings.data.scrape_seconds)
    try:
        return JSONResponse({"entries": await run_in_threadpool(_fetch_past, find_store(stack), queries)})
    except DataError as error:
        return answer_failure(request, 422, message=str(error))


def build_queries(name: str, scrape_seconds: float) -> dict[str, str]:
    """Return the query of each figure that the store has of a function."""
    prefix, label = "nuclio_processor_", f'{{function="{name}"}}'
    window = f"[{max(scrape_seconds * _LOOKS, _LEAST_WINDOW):g}s]"
    buckets = f"sum(rate({prefix}handled_events_duration_seconds_bucket{label}{window})) by (le)"
    return {
        "rate": f"sum(rate({prefix}handled_events_total{label}{window}))",
        "failure_rate": f'sum(rate({prefix}handled_events_total{{function="{name}",result="failure"}}{window}))',
        "p50": f"histogram_quantile(0.5, {buckets}) * 1000",
        "p99": f"histogram_quantile(0.99, {buckets}) * 1000",
        "in_flight": f"sum({prefix}events_in_flight{label})",
        "memory": f"sum({prefix}memory_bytes{label})",
        "cpu": f"sum(rate({prefix}cpu_seconds_total{label}{window}))",
        "ready": f"count({prefix}busy_seconds{label})",
    }


def _fetch_past(store: Store, queries: Mapping[str, str]) -> list[dict[str, Any]]:
    end = time()
    return _list_points(fetch_chart(store, list(queries.values()), span=Span(end - _PAST, end, _POINTS)), queries)


def _list_points(chart: Chart, queries: Mapping[str, str]) -> list[dict[str, Any]]:
    means = {line.series.metric: line.mean for line in chart.lines}
    known = {key: means[query] for key, query in queries.items() if query in means}
    return [
        {"time": moment, **{key: values[place] for key, values in known.items()}}
        for place, moment in enumerate(chart.times)
        if any(values[place] is not None for values in known.values())
    ]
