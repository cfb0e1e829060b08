"""Where a message enters a function: the queues of its triggers on the stack's broker."""

from dataclasses import dataclass

from stack.config.trigger import MQTT, RABBITMQ, MqttTrigger, RabbitTrigger
from stack.plan.function import FunctionPlan, default_queue, is_stack_broker
from stack.plan.topic import to_key

_MQTT_EXCHANGE = "amq.topic"
# Stands for what a wildcard leaves open.
_ANY = "test"


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
