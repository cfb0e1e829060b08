"""The queues of a trigger: its own, those of messages that wait to be tried again, and that of dead letters.

A copy of a failed message goes to a queue whose messages expire, after a delay that grows, into the queue that they
came from; so messages behind it are not held up, and the count of attempts, being in the copy's headers, outlives
processor and broker. After the last attempt the copy goes to the queue of dead letters. The original is acknowledged
only when the broker has confirmed the copy.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stack.contract import ALERTER, DEAD, FUNCTION, RETRY, name_queue, name_retry_queue
from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure
from stack.processor.message import AmqpMessage
from stack.processor.source.rabbitmq.headers import read_origin, strip_notes, write_notes

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
    """Return what a rabbit-mq trigger needs."""
    attributes = trigger.attributes
    topics = attributes.texts("topics")
    return Topology(
        queue=attributes.text("queueName") or name_queue(function.namespace, function.name),
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


_FIRST_DELAY, _FACTOR, _LONGEST_DELAY = 1.0, 5, 600.0
# Attempts after which the delay is the longest anyway.
_STEPS = 8


@dataclass(frozen=True)
class Policy:
    """What to do with a failed message."""

    action: str
    """`retry`, `ack` (forget it) or `nack` (refuse it, for the queue's own dead-letter exchange if it has one)."""
    requeue: bool
    retries: int


@dataclass(frozen=True)
class RetryMessage:
    """A message as it goes to a queue of retries, or of dead letters if there is no delay; the delay is in seconds."""

    queue: str
    delay: float
    body: bytes
    properties: Any

    def arguments(self, queue_type: str) -> dict[str, Any]:
        """Return what the queue is declared with.

        A quorum queue lets go of a message that expired when the queue which it goes back to has confirmed it.
        """
        arguments: dict[str, Any] = {QUEUE_TYPE: queue_type} if queue_type else {}
        if not self.delay:
            return arguments
        source = self.queue.rpartition(RETRY)[0]
        arguments |= {
            "x-message-ttl": round(self.delay * 1000),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": source,
        }
        if queue_type == "quorum":
            arguments |= {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
        return arguments


@dataclass(frozen=True)
class RetryPlan:
    """What copies are made with: the queue of the originals, and the function that they failed in."""

    queue: str
    retries: int
    function: str
    key: bytes
    """What the copies are signed with."""


def read_policy(attributes: Attributes) -> Policy:
    """Read a trigger's attributes; onError and requeueOnError mean what newer Nuclio means by them."""
    requeue = attributes.flag("requeueOnError", False)
    action = attributes.text("onError").lower() or ("nack" if requeue else "retry")
    if action not in ("ack", "nack", "retry"):
        raise ConfigurationError(f"{attributes.path}.onError: should be ack, nack or retry, not {action!r}")
    return Policy(action, requeue, attributes.integer("maxRetries", 3))


def restore_origin(message: AmqpMessage, plan: RetryPlan) -> AmqpMessage:
    """Return a message as it was before it was retried, or sent again: where it was published, without our own notes.

    The headers that tell of its failures stay, if they are ours; what others write under our names is left out.
    """
    properties = message.properties
    headers, origin = properties.headers, read_origin(message, plan.queue, plan.key)
    properties.headers = strip_notes(headers, is_ours=origin is not None)
    if plan.function == ALERTER and headers and FUNCTION in headers:
        # It calls alerts by the function that has sent them.
        properties.headers = {**properties.headers, FUNCTION: headers[FUNCTION]}
    if origin is None:
        return message
    return message._replace(exchange=origin.exchange, routing_key=origin.routing_key, attempts=origin.attempts)


def build_retry(message: AmqpMessage, failure: Failure, plan: RetryPlan, *, is_bare: bool = False) -> RetryMessage:
    """Return the copy of a failed message, and where it goes.

    A bare copy has none of the original's properties, for a broker that refuses them.
    """
    attempts = max(0, message.attempts) + 1
    dead = is_last(message, failure, plan)
    delay = 0.0 if dead else find_delay(attempts)
    properties = write_notes(
        message._replace(attempts=attempts),
        failure,
        queue=plan.queue,
        function=plan.function,
        key=plan.key,
        bare=is_bare,
    )
    queue = plan.queue + DEAD if dead else name_retry_queue(plan.queue, delay)
    return RetryMessage(queue, delay, message.body, properties)


def is_last(message: AmqpMessage, failure: Failure, plan: RetryPlan) -> bool:
    """Return whether a message that failed once more becomes a dead letter."""
    return failure.is_final or message.attempts >= plan.retries


def find_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failed attempts."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * float(_FACTOR ** min(_STEPS, attempts - 1)))
