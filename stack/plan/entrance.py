"""Where a message enters a function: the queues of its triggers on the stack's broker."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stack.config.trigger import MQTT, RABBITMQ, MqttTrigger, RabbitTrigger
from stack.plan.function import FunctionPlan, default_queue, is_stack_broker
from stack.plan.publication import AmqpMessage
from stack.plan.topic import to_key
from stack.processor.source.rabbitmq.note import EXCHANGE, ROUTING_KEY, SIGNATURE
from stack.processor.source.rabbitmq.signature import Origin, sign

_MQTT_EXCHANGE = "amq.topic"
# Stands for what a wildcard leaves open.
_ANY = "test"


@dataclass(frozen=True)
class Trial:
    """What a function is tried with; `address` is the topic or routing key that its event tells."""

    address: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True)
class Entrance:
    """A trigger's queue, and where a message in it may seem to have been published.

    `address` is an example of it: a topic of MQTT, or a routing key of the exchange; of a queue without one, its name.
    """

    trigger: str
    kind: str
    queue: str
    exchange: str
    address: str

    def find_key(self, address: str) -> str:
        """Return the routing key of an address."""
        return to_key(address) if self.kind == MQTT else address

    def enclose(self, trial: Trial, signature_key: bytes) -> AmqpMessage:
        """Return the message for the queue alone; the processor reads from its headers where it was published.

        It believes them for their signature, which is made with the function's key.
        """
        headers = {**trial.headers, **(self._sign(trial, signature_key) if self.exchange else {})}
        return AmqpMessage("", self.queue, trial.body, headers, trial.content_type, is_persistent=False)

    def _sign(self, trial: Trial, key: bytes) -> dict[str, str]:
        routing_key = self.find_key(trial.address)
        signature = sign(key, self.queue, Origin(self.exchange, routing_key), trial.body)
        return {EXCHANGE: self.exchange, ROUTING_KEY: routing_key, SIGNATURE: signature}


def find_entrances(plan: FunctionPlan) -> tuple[Entrance, ...]:
    """List the entrances of a function; a trigger whose broker is another has none."""
    return tuple(
        _describe(plan, name, trigger)
        for name, trigger in plan.triggers.items()
        if isinstance(trigger, RabbitTrigger | MqttTrigger) and is_stack_broker(trigger)
    )


def _describe(plan: FunctionPlan, name: str, trigger: RabbitTrigger | MqttTrigger) -> Entrance:
    queue = trigger.attributes.queue_name or default_queue(plan, name, trigger)
    if isinstance(trigger, MqttTrigger):
        return Entrance(name, MQTT, queue, _MQTT_EXCHANGE, fill_wildcards(trigger.attributes.subscriptions[0].topic))
    given = trigger.attributes
    address = fill_wildcards(given.topics[0]) if given.topics else given.queue_name or queue
    return Entrance(name, RABBITMQ, queue, given.exchange_name if given.topics else "", address)


def fill_wildcards(pattern: str) -> str:
    """Return a topic or a routing key that a pattern lets through."""
    return pattern.replace("*", _ANY).replace("+", _ANY).replace("#", _ANY)
