"""The tab of a function's figures: charts of the time while it is open, and the sums since its containers started."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.figures import write_bytes, write_count
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.pages.data import chart_address
from stack.dashboard.pages.function import render_tab
from stack.dashboard.services import Services, services_of

_TOPIC = "metrics:"
_DAY = 86_400.0
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
    """Return the route of this tab."""
    return [Route("/functions/{name}/metrics", show_tab)]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    name = request.path_params["name"]
    data = services_of(request).data()
    past = chart_address(list_past(name), _DAY) if data.is_kept and data.scrape_seconds else ""
    return await render_tab(
        request, "metrics.html", name=name, past=past, **await look(request, f"{TOTALS.name}{name}")
    )


def list_past(name: str) -> list[str]:
    """Return queries for what the store has of a function: events a second by their result, and how long they took."""
    label = f'function="{name}"'
    events = f"sum(rate(nuclio_processor_handled_events_total{{{label}}}[5m])) by (result)"
    took = "nuclio_processor_handled_events_duration_milliseconds"
    return [events, f"sum(rate({took}_sum{{{label}}}[5m])) / sum(rate({took}_count{{{label}}}[5m]))"]
