"""The overview: the stack drawn as it is, what is wrong with it, and what happened last."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.live import Fragment, Known
from stack.dashboard.page import render
from stack.dashboard.services import Services, services_of
from stack.errors import StackError
from stack.plan.diagram import HEIGHT, WIDTH, lay_out
from stack.plan.metrics import find_handling_troubles, read_handling
from stack.plan.topology import BrokerFacts, draw_topology, gather, output_names
from stack.run.catalogue import FunctionRecord

_TOPICS = ("stack", "functions", "broker", "history")
# Seconds that the page waits for what is not known yet; the rest comes by the stream of events.
_PATIENCE = 0.12
_EVENTS = 12
_FAILED = ("error", "unhealthy")


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong, what to do about it, and the page that tells more; empty if there is none."""

    subject: str
    what: str
    advice: str
    address: str = ""
    level: str = "error"


@dataclass(frozen=True)
class Happening:
    """Something that happened, and when, as ISO 8601."""

    kind: str
    subject: str
    text: str
    level: str
    time: str


def _count_problems(_: Services, _subject: str, known: Known) -> dict[str, Any]:
    return {"problems": None if known["stack"] is None else len(known["stack"]["problems"])}


HEALTH = Fragment("health", "_health.html", ("stack",), _count_problems)


def routes() -> list[BaseRoute]:
    """Return the routes of the page and its parts."""
    return [Route("/", show_overview), Route("/overview/{part:str}", show_part)]


async def show_overview(request: Request) -> Response:
    """Show what is known at once."""
    return render(request, "overview.html", **await _look(services_of(request)))


async def show_part(request: Request) -> Response:
    """Show one part again: troubles, map or events."""
    part = request.path_params["part"]
    if part not in ("troubles", "map", "events"):
        return Response(status_code=404)
    return render(request, f"_overview_{part}.html", **await _look(services_of(request)))


async def _look(services: Services) -> dict[str, Any]:
    known = dict(zip(_TOPICS, await asyncio.gather(*(_ask(services, topic) for topic in _TOPICS)), strict=True))
    records = await services.records()
    return {
        "known": known,
        "is_complete": all(value is not None for value in known.values()),
        "figures": known["functions"] or {},
        "records": records,
        "troubles": find_troubles(records, known["stack"] or {}, known["functions"] or {}),
        "events": [_read_event(one) for one in (known["history"] or [])[:_EVENTS]],
        **await run_in_threadpool(_draw, services, records, known["broker"] or {}),
    }


async def _ask(services: Services, topic: str) -> Any:
    """Return the latest of a topic; None if that would take time."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await services.broadcaster.latest(topic)
    except (TimeoutError, StackError):
        return None


def _draw(services: Services, records: Sequence[FunctionRecord], broker: Mapping[str, Any]) -> dict[str, Any]:
    facts = BrokerFacts.model_validate(broker)
    mentions = services.mentions.find({one.name: one.files for one in records}, output_names(records, facts))
    topology = gather(draw_topology(records, facts, mentions))
    return {"topology": topology, "diagram": lay_out(topology), "box": (WIDTH, HEIGHT)}


def _read_event(entry: Mapping[str, Any]) -> Happening:
    time = datetime.fromtimestamp(entry["time"], UTC).isoformat()
    return Happening(entry["kind"], entry["subject"], entry["text"], entry["level"], time)


def find_troubles(
    records: Sequence[FunctionRecord], stack: Mapping[str, Any], figures: Mapping[str, Mapping[str, Any]]
) -> list[Trouble]:
    """Return what is wrong with the services and the functions, each once, and which messages failed for good."""
    found = [
        Trouble(one["subject"], one["what"], one["next"], level=one.get("level", "error"))
        for one in stack.get("problems", ())
    ]
    names = {one.name for one in records}
    found = [replace(one, address=f"/functions/{one.subject}/logs") if one.subject in names else one for one in found]
    told = {one.subject for one in found}
    for record in records:
        address = f"/functions/{record.name}/code"
        if record.problem:
            found.append(Trouble(record.name, record.problem, "Mend its folder.", address, level="warn"))
        elif record.state in _FAILED and record.name not in told:
            found.append(Trouble(record.name, record.message or "does not work.", "Look at its code and log.", address))
        for trouble in find_handling_troubles(record.name, read_handling(figures.get(record.name, {}))):
            logs = f"/functions/{record.name}/logs"
            found.append(Trouble(trouble.subject, trouble.what, trouble.advice, logs, trouble.level))
        if dead := figures.get(record.name, {}).get("dead"):
            what = f"could not handle {dead} {'message' if dead == 1 else 'messages'}."
            found.append(
                Trouble(
                    record.name,
                    what,
                    "Send them again, or discard them.",
                    f"/functions/{record.name}/dead-letters",
                    "warn",
                )
            )
    return found
