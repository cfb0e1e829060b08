"""What the older versions of a function left at the stack's broker, where no version cleans up behind another."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stack.config.trigger import MqttTrigger, RabbitTrigger, Trigger
from stack.plan.broker import MQTT_EXCHANGE
from stack.plan.function import FunctionPlan, binding_key, default_queue, is_stack_broker, own_queues


@dataclass(frozen=True, order=True)
class Binding:
    """What brings messages of an exchange into a queue."""

    queue: str
    exchange: str
    key: str


def find_bindings(plan: FunctionPlan) -> frozenset[Binding]:
    """List the bindings that a function's processor makes when it connects."""
    return frozenset(
        Binding(trigger.attributes.queue_name or default_queue(plan, name, trigger), exchange, key)
        for name, trigger in plan.triggers.items()
        if isinstance(trigger, RabbitTrigger | MqttTrigger) and is_stack_broker(trigger)
        for exchange, key in _keys(trigger)
    )


def stale_bindings(older: Iterable[FunctionPlan], deployed: Iterable[FunctionPlan]) -> frozenset[Binding]:
    """List what older versions bound and nothing that is deployed binds; what nobody's version bound is not ours."""
    wanted = {binding for plan in deployed for binding in find_bindings(plan)}
    return frozenset(binding for plan in older for binding in find_bindings(plan)) - wanted


def stale_queues(older: Iterable[FunctionPlan], deployed: Iterable[FunctionPlan]) -> frozenset[str]:
    """List the queues that older versions consumed and nothing that is deployed consumes."""
    wanted = {queue for plan in deployed for queue in own_queues(plan)}
    return frozenset(queue for plan in older for queue in own_queues(plan)) - wanted


def _keys(trigger: Trigger) -> Iterator[tuple[str, str]]:
    """Yield exchange and key of each binding, as the processor spells them."""
    if isinstance(trigger, MqttTrigger):
        yield from ((MQTT_EXCHANGE, binding_key(one.topic)) for one in trigger.attributes.subscriptions)
    elif isinstance(trigger, RabbitTrigger):
        yield from ((trigger.attributes.exchange_name, topic) for topic in trigger.attributes.topics)
