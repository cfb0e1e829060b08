"""The overview: the stack drawn as it is, what is wrong with it, and what happened last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.contract import DEAD
from stack.dashboard.figures import UNKNOWN, write_bytes, write_count, write_rate
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.services import Services
from stack.plan.bridge_state import write_seconds
from stack.plan.diagram import HEIGHT, WIDTH, lay_out
from stack.plan.topology import (
    FUNCTION,
    OUTPUT,
    QUEUE,
    SOURCE_NOTES,
    BrokerFacts,
    Node,
    Topology,
    draw_topology,
    gather,
    output_names,
)
from stack.plan.trouble import find_handling_troubles, read_handling
from stack.run.catalogue import FunctionRecord
from stack.run.function_status import READY

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


@dataclass(frozen=True)
class Stat:
    """A figure of the whole stack, perhaps with a line below; its level is error where that is bad."""

    name: str
    title: str
    text: str
    level: str = ""
    note: str = ""


@dataclass(frozen=True)
class Note:
    """How a box of the map is: a word for its colour, and a line below its name; empty if nothing is known."""

    state: str = ""
    text: str = ""


def _count_problems(_: Services, _subject: str, known: Known) -> dict[str, Any]:
    return {"problems": None if known["stack"] is None else len(known["stack"]["problems"])}


def _describe(services: Services, _: str, known: Known) -> dict[str, Any]:
    records = services.catalogue.records()
    functions, broker = known["functions"] or {}, known["broker"] or {}
    drawn = _draw(services, records, broker=broker)
    return {
        "known": known,
        "records": records,
        "stats": sum_up(known),
        "troubles": find_troubles(records, known["stack"] or {}, functions),
        "source_notes": SOURCE_NOTES,
        "events": [_read_event(one) for one in (known["history"] or [])[:_EVENTS]],
        "meters": read_meters(broker),
        "notes": describe_nodes(drawn["topology"], functions, broker),
        **drawn,
    }


HEALTH = Fragment("health", "_health.html", ("stack",), _count_problems)
OVERVIEW = Fragment("overview", "_overview.html", ("stack", "functions", "broker", "history"), _describe)


def routes() -> list[BaseRoute]:
    """Return the routes of the page and its parts."""
    return [Route("/", show_overview), Route("/overview/{part:str}", show_part)]


async def show_overview(request: Request) -> Response:
    """Show what is known at once."""
    return render(request, "overview.html", **await look(request, OVERVIEW.name))


async def show_part(request: Request) -> Response:
    """Show one part alone: troubles, map or events."""
    part = request.path_params["part"]
    if part not in ("troubles", "map", "events"):
        return Response(status_code=404)
    return render(request, f"_overview_{part}.html", **await look(request, OVERVIEW.name))


def _draw(services: Services, records: Sequence[FunctionRecord], *, broker: Mapping[str, Any]) -> dict[str, Any]:
    facts = BrokerFacts.model_validate(broker)
    mentions = services.mentions.find({one.name: one.files for one in records}, output_names(records, facts))
    topology = gather(draw_topology(records, facts, mentions=mentions))
    return {"topology": topology, "diagram": lay_out(topology), "box": (WIDTH, HEIGHT)}


def sum_up(known: Known) -> list[Stat]:
    """Return the figures of the whole stack; a dash stands for what is not known."""
    functions = known["functions"] and known["functions"].values()
    queues = known["broker"] and [one for one in known["broker"]["queues"] if not one["name"].endswith(DEAD)]
    ready = f"{sum(one['state'] == READY for one in functions or ())} of {len(functions or ())}"
    failures = _sum(functions, "failure_rate")
    return [
        Stat("ready", "Functions ready", ready if known["functions"] is not None else UNKNOWN),
        Stat("rate", "Events", write_rate(_sum(functions, "rate"))),
        Stat("failures", "Failures", write_rate(failures), "error" if failures else ""),
        Stat("waiting", "Messages waiting", write_count(_sum(queues, "messages"))),
        Stat("memory", "Memory", write_bytes(_sum(known["stack"] and known["stack"]["services"], "memory"))),
        *(_describe_bridge(one) for one in (known["stack"] or {}).get("bridges", ())),
    ]


def _describe_bridge(bridge: Mapping[str, Any]) -> Stat:
    """Return how a way to another place is, and how much waits for it."""
    waiting = f"{write_count(bridge['messages'])} waiting"
    since = f" for {write_seconds(bridge['oldest'])}" if bridge["oldest"] is not None else ""
    text, level = ("runs", "") if bridge["running"] else ("stopped", "error")
    return Stat(f"bridge-{bridge['name']}", f"Bridge {bridge['name']}", text, level, waiting + since)


def _sum(several: Iterable[Mapping[str, Any]] | None, field: str) -> float | None:
    """Return a sum in which what is not known of one counts as nothing."""
    return None if several is None else sum(one[field] or 0 for one in several)


def read_meters(broker: Mapping[str, Any]) -> dict[str, float]:
    """Return the messages a second of each exchange and queue, by the names that the map's arrows have for them."""
    meters = {f"exchange-in:{one['name']}": one["in_rate"] for one in broker.get("exchanges", ())}
    for one in broker.get("queues", ()):
        meters |= {f"queue-in:{one['name']}": one["publish_rate"], f"queue-out:{one['name']}": one["deliver_rate"]}
    return meters


def describe_nodes(
    topology: Topology, functions: Mapping[str, Mapping[str, Any]], broker: Mapping[str, Any]
) -> dict[Node, Note]:
    """Return how each box of the map is."""
    queues = {one["name"]: one for one in broker.get("queues", ())}
    notes = dict.fromkeys(topology.nodes, Note())
    for node in topology.nodes:
        if node.kind == FUNCTION:
            state = topology.states.get(node.name, "")
            notes[node] = _describe_function(functions[node.name]) if node.name in functions else Note(state, state)
        elif node.kind in (QUEUE, OUTPUT) and node.name in queues:
            notes[node] = _describe_queue(queues[node.name], is_output=node.kind == OUTPUT)
    return notes


def _describe_function(one: Mapping[str, Any]) -> Note:
    if one["state"] != READY:
        return Note(one["state"], one["state"])
    failures = f" · {write_rate(one['failure_rate'])} fail" if one["failure_rate"] else ""
    return Note(READY, (write_rate(one["rate"]) if one["rate"] else "idle") + failures)


def _describe_queue(queue: Mapping[str, Any], *, is_output: bool) -> Note:
    is_stuck = not is_output and queue["messages"] > 0 and not queue["consumers"]
    words = [f"{write_count(queue['messages'])} waiting"]
    words += ["no consumer"] if is_stuck else []
    words += [f"in {write_rate(queue['publish_rate'])}"] if is_output and queue["publish_rate"] else []
    return Note("warn" if is_stuck else "", " · ".join(words))


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
