"""The stack as a graph: from where messages come, through which exchange and queue, to which function, and where to."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, starmap
from typing import Protocol

from pydantic import BaseModel

from stack.config.output.registry import Output
from stack.config.trigger.registry import Trigger
from stack.contract import DEAD, MQTT_EXCHANGE, RETRY
from stack.plan.drift import MOVING
from stack.plan.function import Triggered
from stack.plan.output.registry import find_kind as find_output_kind
from stack.plan.trigger.registry import KINDS, find_kind

SOURCE, EXCHANGE, QUEUE, FUNCTION, OUTPUT = "source", "exchange", "queue", "function", "output"
# From left to right.
COLUMNS = (SOURCE, EXCHANGE, QUEUE, FUNCTION, OUTPUT)
# From where devices come in.
AMQP, MQTT = "AMQP", "MQTT"
# By the name of a box at the left, what it stands for.
SOURCE_NOTES = {AMQP: "devices", MQTT: "devices", **dict(kind.box for kind in KINDS.values())}

# So many functions are drawn one by one. Beyond that, so many that are alike become one node, but those of some states.
_READABLE, _CROWD = 16, 3
_BAD = ("error", "unhealthy", "building")
# Queues that the broker names itself, for one connection, and those of Tidegate's own programs.
_PASSING = re.compile(r"amq\.gen-.*|mqtt-subscription-.*|tidegate-.*")


@dataclass(frozen=True, order=True)
class Node:
    """A box: what it is, and its name, which is unique among its kind."""

    kind: str
    name: str


@dataclass(frozen=True)
class Edge:
    """An arrow. `is_guess` says that a function only names its target; it may never send anything there."""

    source: Node
    target: Node
    is_guess: bool = False


@dataclass(frozen=True)
class Topology:
    """Every box and every arrow, each once; `states` are Nuclio's words, by function."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    states: Mapping[str, str] = field(default_factory=dict)


class Member(Triggered, Protocol):
    """A function, as far as the graph goes."""

    @property
    def outputs(self) -> Mapping[str, Output]:
        """Where it sends what it makes, by name."""

    @property
    def state(self) -> str:
        """Nuclio's word for how it is."""


class QueueFacts(BaseModel):
    """A queue of the broker, and the functions that consume it."""

    name: str
    functions: Sequence[str] = ()


class BindingFacts(BaseModel):
    """A binding of the broker."""

    source: str
    destination: str
    destination_type: str


class BrokerFacts(BaseModel):
    """What the broker holds; empty while that is not known."""

    queues: Sequence[QueueFacts] = ()
    bindings: Sequence[BindingFacts] = ()


def draw_topology(
    members: Sequence[Member], broker: BrokerFacts, *, mentions: Mapping[str, Collection[str]]
) -> Topology:
    """Put the graph together; `mentions` says which of `output_names` the code of each function names.

    That is looked at only of functions whose function.yaml names no outputs.
    """
    edges = dict.fromkeys(edge for member in members for edge in _feed(member))
    edges |= dict.fromkeys(_bind(broker, {edge.target.name for edge in edges if edge.target.kind == QUEUE}))
    edges |= dict.fromkeys(_enter({edge.source.name for edge in edges if edge.source.kind == EXCHANGE}))
    outputs = set(output_names(members, broker))
    known = {Node(FUNCTION, one.name) for one in members} | {edge.target for edge in edges}
    edges |= dict.fromkeys(edge for member in members for edge in _send(member, known))
    edges |= dict.fromkeys(
        Edge(Node(FUNCTION, member.name), Node(OUTPUT, name), is_guess=True)
        for member in members
        for name in sorted(outputs.intersection(() if member.outputs else mentions.get(member.name, ())))
    )
    alone = [*(Node(FUNCTION, one.name) for one in members), *(Node(OUTPUT, name) for name in sorted(outputs))]
    nodes = dict.fromkeys([node for edge in edges for node in (edge.source, edge.target)] + alone)
    return Topology(tuple(nodes), tuple(sorted(edges, key=_place)), {one.name: one.state for one in members})


def gather(topology: Topology) -> Topology:
    """Put functions that are called straight from the same sources into one node, where there are many.

    Its name begins with how many they are, and so is no function's.
    """
    if len(topology.states) <= _READABLE:
        return topology
    groups: defaultdict[tuple[str, ...], list[Node]] = defaultdict(list)
    for node, arrows in _list_arrows(topology).items():
        if topology.states[node.name] not in _BAD and all(edge.source.kind == SOURCE for edge in arrows):
            groups[tuple(sorted(edge.source.name for edge in arrows))].append(node)
    crowds = {_name_crowd(sources, group): group for sources, group in groups.items() if len(group) >= _CROWD}
    stands_for = {node: Node(FUNCTION, name) for name, group in crowds.items() for node in group}
    states = {name: {topology.states[node.name] for node in group} for name, group in crowds.items()}
    edges = dict.fromkeys(replace(one, target=stands_for.get(one.target, one.target)) for one in topology.edges)
    return Topology(
        tuple(dict.fromkeys(stands_for.get(node, node) for node in topology.nodes)),
        tuple(edges),
        {**topology.states, **{name: found.pop() if len(found) == 1 else "" for name, found in states.items()}},
    )


def _name_crowd(sources: Sequence[str], group: Sequence[Node]) -> str:
    return f"{len(group)} over {' and '.join(sources)}" if sources else f"{len(group)} without triggers"


def _list_arrows(topology: Topology) -> dict[Node, list[Edge]]:
    """Return each function's arrows, both ways."""
    arrows: dict[Node, list[Edge]] = {node: [] for node in topology.nodes if node.kind == FUNCTION}
    for edge in topology.edges:
        for node in (edge.source, edge.target):
            if node.kind == FUNCTION:
                arrows[node].append(edge)
    return arrows


def output_names(members: Sequence[Member], broker: BrokerFacts) -> tuple[str, ...]:
    """Return the queues that no function consumes and no exchange fills: what functions send their results to."""
    consumed = {edge.source.name for one in members for edge in _feed(one) if edge.source.kind == QUEUE}
    consumed |= {one.destination for one in broker.bindings if one.source}
    return tuple(
        queue.name
        for queue in broker.queues
        if queue.name not in consumed and not queue.functions and not _is_internal(queue.name)
    )


def _place(edge: Edge) -> tuple[int, Node, Node]:
    return COLUMNS.index(edge.source.kind), edge.source, edge.target


def _feed(member: Member) -> Iterator[Edge]:
    """Yield the arrows that lead to a function."""
    for key, trigger in member.triggers.items():
        if not trigger.disabled:
            yield from starmap(Edge, pairwise(_path(member, key, trigger=trigger)))


def _send(member: Member, known: Collection[Node]) -> Iterator[Edge]:
    """Yield the arrows to a function's outputs: to the function or the queue of others where it is one of those."""
    for output in member.outputs.values():
        kind = find_output_kind(output)
        declared = kind.find_declared(output)
        wanted = (Node(FUNCTION, kind.find_function(output)), Node(QUEUE, declared.queue if declared else ""))
        target = next((node for node in wanted if node in known), Node(OUTPUT, kind.name_target(output)))
        yield Edge(Node(FUNCTION, member.name), target)


def _path(member: Member, key: str, *, trigger: Trigger) -> list[Node]:
    kind, end = find_kind(trigger), Node(FUNCTION, member.name)
    bound = kind.find_queue(member, key, trigger)
    if not bound or not kind.is_on_stack(trigger):
        return [Node(SOURCE, kind.box[0]), end]
    return [*([Node(EXCHANGE, bound.exchange)] if bound.exchange else []), Node(QUEUE, bound.queue), end]


def _bind(broker: BrokerFacts, consumed: Collection[str]) -> Iterator[Edge]:
    """Yield the arrows to the queues that an exchange fills though no function wants them to."""
    for one in broker.bindings:
        is_new = one.destination_type == "queue" and one.destination not in consumed
        if one.source and is_new and not _is_internal(one.destination):
            yield Edge(Node(EXCHANGE, one.source), Node(QUEUE, one.destination))


def _enter(exchanges: Collection[str]) -> Iterator[Edge]:
    """Yield the arrows from the devices."""
    for name in sorted(exchanges):
        yield Edge(Node(SOURCE, MQTT if name == MQTT_EXCHANGE else AMQP), Node(EXCHANGE, name))


def _is_internal(queue: str) -> bool:
    return queue.endswith((DEAD, MOVING)) or RETRY in queue or _PASSING.fullmatch(queue) is not None
