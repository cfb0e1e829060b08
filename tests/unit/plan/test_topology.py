from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pydantic import TypeAdapter

from stack.config.output.registry import Output
from stack.config.trigger.registry import Trigger
from stack.plan.diagram import HEIGHT, STEP, STRIDE, lay_out, shorten
from stack.plan.topology import (
    BindingFacts,
    BrokerFacts,
    Edge,
    Node,
    QueueFacts,
    Topology,
    draw_topology,
    gather,
    output_names,
)

_NOTHING = BrokerFacts()


@dataclass(frozen=True)
class Member:
    name: str
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    state: str = "ready"
    namespace: str = "nuclio"
    outputs: Mapping[str, Output] = field(default_factory=dict)


def _make(name: str, **triggers: object) -> Member:
    return Member(name, TypeAdapter(dict[str, Trigger]).validate_python(triggers))


_RABBIT = _make(
    "taker",
    amqp={"kind": "rabbit-mq", "attributes": {"exchangeName": "sensors", "queueName": "warm", "topics": ["heat"]}},
)
_MQTT = _make("listener", mqtt={"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a/b"}]}})


def _show(topology: Topology) -> set[str]:
    return {f"{one.source.name} > {one.target.name}{' ?' if one.is_guess else ''}" for one in topology.edges}


def test_messages_go_from_devices_through_exchange_and_queue_to_the_function() -> None:
    assert _show(draw_topology([_RABBIT], _NOTHING, mentions={})) == {
        "AMQP > sensors",
        "sensors > warm",
        "warm > taker",
    }


def test_mqtt_comes_through_the_exchange_that_rabbitmq_has_for_it() -> None:
    assert _show(draw_topology([_MQTT], _NOTHING, mentions={})) == {
        "MQTT > amq.topic",
        "amq.topic > nuclio-nuclio-listener-mqtt",
        "nuclio-nuclio-listener-mqtt > listener",
    }


def test_outputs_are_drawn_as_function_yaml_names_them_and_nothing_is_guessed_beside_them() -> None:
    outputs = {
        "alerts": {"kind": "rabbit-mq", "exchange": "iot/alerts", "routingKey": "high"},
        "logs": {"kind": "rabbit-mq", "queue": "iot/logs"},
        "command": {"kind": "mqtt", "topic": "plant/{id}/cmd"},
        "hook": {"kind": "http", "url": "https://me:word@hooks.example/x"},
        "scores": {"kind": "function", "name": "scorer"},
    }
    member = replace(_make("sender"), outputs=TypeAdapter(dict[str, Output]).validate_python(outputs))
    broker = BrokerFacts(queues=[QueueFacts(name="iot/logs"), QueueFacts(name="iot/named")])
    others = {"sender": ["iot/named"]}
    targets = {"iot/alerts high", "iot/logs", "plant/{id}/cmd", "hooks.example", "scorer"}
    assert _show(draw_topology([member], broker, mentions=others)) == {f"sender > {one}" for one in targets}


def test_outputs_join_functions_and_queues_of_functions_that_there_are() -> None:
    outputs = {
        "scores": {"kind": "function", "name": "scorer"},
        "me": {"kind": "function", "name": "sender"},
        "heat": {"kind": "rabbit-mq", "queue": "warm"},
    }
    sender = replace(_make("sender"), outputs=TypeAdapter(dict[str, Output]).validate_python(outputs))
    topology = draw_topology([_RABBIT, sender, _make("scorer", web={"kind": "http"})], _NOTHING, mentions={})
    assert {"sender > scorer", "sender > sender", "sender > warm"} <= _show(topology)
    assert not any(node.kind == "output" for node in topology.nodes)
    assert gather(topology) == topology
    diagram = lay_out(topology)
    assert {arrow.edge.target.name for arrow in diagram.arrows if arrow.is_back} == {"scorer", "sender", "warm"}
    boxes = {box.node: box for box in diagram.boxes}
    back = next(arrow for arrow in diagram.arrows if arrow.edge.target.name == "warm" and arrow.is_back)
    assert back.path.startswith(f"M{boxes[back.edge.source].x:g} "), "it leaves at the left"


def test_http_clock_and_other_brokers_lead_straight_to_the_function() -> None:
    function = _make(
        "busy",
        web={"kind": "http"},
        clock={"kind": "cron", "attributes": {"interval": "1s"}},
        far={"kind": "mqtt", "url": "mqtt://elsewhere.example:1883", "attributes": {"subscriptions": [{"topic": "a"}]}},
    )
    assert _show(draw_topology([function], _NOTHING, mentions={})) == {
        "HTTP > busy",
        "Clock > busy",
        "Other brokers > busy",
    }


def test_disabled_trigger_feeds_nothing() -> None:
    assert _show(draw_topology([_make("idle", web={"kind": "http", "disabled": True})], _NOTHING, mentions={})) == set()


def test_outputs_are_queues_that_no_one_consumes_and_no_exchange_fills() -> None:
    names = ("results", "warm", "bound", "warm.dead", "warm.retry.1", "amq.gen-x", "taken")
    queues = [QueueFacts(name=name, functions=["other"] if name == "taken" else []) for name in names]
    bindings = [
        BindingFacts(source="sensors", destination="bound", destination_type="queue"),
        BindingFacts(source="", destination="results", destination_type="queue"),
    ]
    broker = BrokerFacts(queues=queues, bindings=bindings)
    assert output_names([_RABBIT], broker) == ("results",)
    topology = draw_topology([_RABBIT], broker, mentions={"taker": ["results", "unknown"]})
    assert {"taker > results ?", "sensors > bound"} <= _show(topology)
    assert not any("unknown" in edge for edge in _show(topology))


def test_function_and_output_without_arrows_are_there_too() -> None:
    topology = draw_topology([_make("alone")], BrokerFacts(queues=[QueueFacts(name="results")]), mentions={})
    assert set(topology.nodes) == {Node("function", "alone"), Node("output", "results")}


def test_boxes_of_a_column_do_not_touch_and_all_are_on_the_paper() -> None:
    many = [_make(f"f{number}", web={"kind": "http"}) for number in range(50)]
    diagram = lay_out(draw_topology([*many, _RABBIT, _MQTT], _NOTHING, mentions={}))
    for kind, _ in diagram.columns:
        heights = sorted(box.y for box in diagram.boxes if box.node.kind == kind)
        assert all(lower - upper >= STEP - 0.01 for upper, lower in pairwise(heights))
    assert all(0 <= box.y <= diagram.height - HEIGHT and 0 <= box.x <= diagram.width for box in diagram.boxes)


def test_column_is_ordered_by_its_neighbours() -> None:
    sources, targets = [Node("queue", name) for name in "ab"], [Node("function", name) for name in "ab"]
    crossed = Topology((*sources, *targets), (Edge(sources[0], targets[1]), Edge(sources[1], targets[0])))
    y = {box.node: box.y for box in lay_out(crossed).boxes}
    assert (y[sources[0]] < y[sources[1]]) == (y[targets[1]] < y[targets[0]])


def test_column_without_nodes_takes_no_room() -> None:
    assert lay_out(draw_topology([_make("alone", web={"kind": "http"})], _NOTHING, mentions={})).columns == (
        ("source", 0),
        ("function", STRIDE),
    )


def test_nothing_is_drawn_of_nothing() -> None:
    assert lay_out(draw_topology([], _NOTHING, mentions={})).boxes == ()


def test_many_functions_that_are_alike_become_one() -> None:
    many = [_make(f"f{number}", web={"kind": "http"}) for number in range(50)]
    broken = replace(many[7], state="error")
    topology = gather(draw_topology([*many[:7], broken, *many[8:], _RABBIT], _NOTHING, mentions={}))
    assert _show(topology) == {
        "HTTP > 49 over HTTP",
        "HTTP > f7",
        "AMQP > sensors",
        "sensors > warm",
        "warm > taker",
    }
    assert topology.states["49 over HTTP"] == "ready"


def test_few_functions_are_drawn_one_by_one() -> None:
    topology = draw_topology([_make(f"f{number}", web={"kind": "http"}) for number in range(10)], _NOTHING, mentions={})
    assert gather(topology) == topology


def test_parts_that_nothing_joins_stay_together() -> None:
    many = [_make(f"f{number}", web={"kind": "http"}) for number in range(15)]
    diagram = lay_out(draw_topology([*many, _make("alone"), _RABBIT], _NOTHING, mentions={}))
    heights = sorted(box.y for box in diagram.boxes)
    assert all(lower - upper <= STEP + 0.01 for upper, lower in pairwise(heights))


def test_long_names_are_shortened_so_that_they_differ() -> None:
    names = ["iot/sensors", "nuclio-inside-readings", "nuclio-outside-readings", "a-very-long-name-alone"]
    names += [f"site-of-a-plant/line-{number}/station/readings" for number in (1, 2)]
    texts = shorten(names)
    assert texts["iot/sensors"] == "iot/sensors"
    assert texts["a-very-long-name-alone"] == "a-very-…e-alone"
    assert texts["nuclio-inside-readings"] == "nuc…inside-rea…"
    assert texts["nuclio-outside-readings"] == "nuc…outside-re…"
    assert len(set(texts.values())) == len(names)
    assert max(map(len, texts.values())) <= 15
