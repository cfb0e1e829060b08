"""What a trigger needs to be declared at the broker, and how it is declared."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stack.contract import MQTT_EXCHANGE, name_queue, to_key
from stack.processor.configuration import Function, Trigger
from stack.processor.source.subscription import read_filters

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for (?P<kind>\w+) '(?P<name>.*)' in vhost '.*': "
    r"received '?(?P<wished>.+?)'? but current is '?(?P<found>.+?)'?\.?$"
)
QUEUE_TYPE = "x-queue-type"
# Attributes that say how a queue or exchange is declared.
_ATTRIBUTES = {("queue", "durable"): "durableQueue", ("exchange", "durable"): "durableExchange"}


@dataclass(frozen=True)
class Topology:
    """A queue, and what is bound to it; `exchange` is declared here only if `declares_exchange`."""

    queue: str
    durable_queue: bool
    exchange: str
    declares_exchange: bool
    durable_exchange: bool
    keys: tuple[str, ...]
    queue_type: str = ""
    """`quorum` or `classic`; nothing leaves it to the broker, and takes a queue that is there whatever its type."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What the queue is declared with."""
        return {QUEUE_TYPE: self.queue_type} if self.queue_type else {}


def plan_topology(trigger: Trigger, function: Function) -> Topology:
    """Return what a rabbit-mq trigger, or an mqtt trigger on RabbitMQ itself, needs."""
    attributes = trigger.attributes
    queue = attributes.text("queueName") or name_queue(function.namespace, function.name, trigger.name, trigger.kind)
    if trigger.kind == "mqtt":
        return Topology(
            queue=queue,
            durable_queue=True,
            exchange=MQTT_EXCHANGE,
            declares_exchange=False,
            durable_exchange=True,
            keys=tuple(to_key(topic) for topic in read_filters(trigger)),
            queue_type=attributes.text("queueType"),
        )
    topics = attributes.texts("topics")
    return Topology(
        queue=queue,
        durable_queue=attributes.flag("durableQueue", True),
        exchange=attributes.text("exchangeName"),
        declares_exchange=bool(topics) and bool(attributes.text("exchangeName")),
        durable_exchange=attributes.flag("durableExchange", False),
        keys=topics,
        queue_type=attributes.text("queueType"),
    )


def declare(channel: Any, topology: Topology, *, is_missing: bool, done: Callable[[], None]) -> None:
    """Declare all, one thing after the other, then call `done`; the broker closes the channel at the first refusal.

    A trigger without topics takes a queue as it is, however it was declared; only one that `is_missing` is made.
    """
    queue = partial(channel.queue_declare, topology.queue, durable=topology.durable_queue, arguments=topology.arguments)
    if not topology.keys and not is_missing:
        queue = partial(channel.queue_declare, topology.queue, passive=True)
    steps: deque[Callable[..., object]] = deque([queue])
    if topology.declares_exchange:
        declare_exchange = partial(channel.exchange_declare, exchange_type="topic", durable=topology.durable_exchange)
        steps.appendleft(partial(declare_exchange, topology.exchange))
    if topology.exchange:
        bind = partial(channel.queue_bind, topology.queue, topology.exchange)
        steps.extend(partial(bind, routing_key=key) for key in topology.keys)

    def advance(_frame: object = None) -> None:
        if steps:
            steps.popleft()(callback=advance)
        else:
            done()

    advance()


def find_other_type(text: str) -> str:
    """Return the queue that the broker refuses to declare because it is there and of another type, or nothing."""
    match = _INEQUIVALENT.search(text)
    return match["name"] if match and match["argument"] == QUEUE_TYPE else ""


def explain_refusal(text: str) -> str:
    """Return what the broker's refusal to declare something means, and how to go on."""
    match = _INEQUIVALENT.search(text)
    if not match:
        return text
    if match["argument"] == QUEUE_TYPE:
        return f"the queue {match['name']!r} is a {match['found']} queue already, and is used as it is"
    kind, argument = match["kind"], match["argument"]
    attribute = _ATTRIBUTES.get((kind, argument))
    remedy = f"set the attribute {attribute} to {match['found']}, or " if attribute else ""
    return (
        f"the {kind} {match['name']!r} is there already, declared with {argument}={match['found']}, while this trigger "
        f"declares it with {argument}={match['wished']}: {remedy}delete the {kind}"
    )
