"""How the overview says what its boxes and figures are."""

from typing import Any

from stack.dashboard.pages.overview import Note, describe_nodes, read_meters, sum_up
from stack.plan.topology import FUNCTION, OUTPUT, QUEUE, SOURCE, Node, Topology

_FUNCTIONS: dict[str, dict[str, Any]] = {
    "busy": {"state": "ready", "rate": 12.6, "failure_rate": 0.5},
    "idle": {"state": "ready", "rate": 0.0, "failure_rate": None},
    "ill": {"state": "unhealthy", "rate": None, "failure_rate": None},
}


def make_queue(name: str, messages: int = 0, consumers: int = 0, rate: float = 0.0) -> dict[str, Any]:
    rates = {"publish_rate": rate, "deliver_rate": rate}
    return {"name": name, "messages": messages, "consumers": consumers, **rates}


def test_boxes_say_how_they_are() -> None:
    broker = {"queues": [make_queue("in", 1200), make_queue("fed", 3, 1), make_queue("out", 4, rate=2.0)]}
    functions = [Node(FUNCTION, name) for name in (*_FUNCTIONS, "new")]
    others = [Node(QUEUE, "in"), Node(QUEUE, "fed"), Node(QUEUE, "gone"), Node(OUTPUT, "out"), Node(SOURCE, "AMQP")]
    topology = Topology((*functions, *others), (), {"new": "not deployed"})
    notes = {node.name: note for node, note in describe_nodes(topology, _FUNCTIONS, broker).items()}
    assert notes == {
        "busy": Note("ready", "13/s · 0.5/s fail"),
        "idle": Note("ready", "idle"),
        "ill": Note("unhealthy", "unhealthy"),
        "new": Note("not deployed", "not deployed"),
        "in": Note("warn", "1\u2009200 waiting · no consumer"),
        "fed": Note("", "3 waiting"),
        "gone": Note(),
        "out": Note("", "4 waiting · in 2.0/s"),
        "AMQP": Note(),
    }


def test_figures_of_the_whole_stack() -> None:
    broker = {"queues": [make_queue("a", 2), make_queue("a.dead", 5)]}
    known = {"functions": _FUNCTIONS, "broker": broker, "stack": {"services": [{"memory": 3e6}, {"memory": None}]}}
    stats = {one.name: (one.text, one.level) for one in sum_up(known)}
    assert stats["ready"] == ("2 of 3", "")
    assert stats["failures"] == ("0.5/s", "error")
    assert stats["waiting"] == ("2", "")
    assert stats["memory"] == ("3.0 MB", "")
    unknown = sum_up({"functions": None, "broker": None, "stack": None})
    assert {one.text for one in unknown} == {"\u2013"}


def test_rates_stand_on_the_arrows_by_their_names() -> None:
    broker = {"exchanges": [{"name": "e", "in_rate": 1.5}], "queues": [make_queue("q", rate=2.5)]}
    assert read_meters(broker) == {"exchange-in:e": 1.5, "queue-in:q": 2.5, "queue-out:q": 2.5}
