"""Queues that two functions would use against each other's will.

Functions may share a queue on purpose. But no queue may hold what another trigger failed at, and code that is fetched
takes no messages of another function unless its own function.yaml says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stack.config.function import FunctionConfig
from stack.config.trigger import MqttTrigger, RabbitTrigger, Trigger
from stack.errors import AccessError, ConfigError
from stack.plan.dead_letter import is_kept_for
from stack.plan.function import FunctionPlan, is_stack_broker, name_queues, own_queues

# The trigger and the attribute in which something is named.
_Place = tuple[str, str]


@dataclass(frozen=True)
class Claimant:
    """A function, and what its own function.yaml says, without what was fetched with its code."""

    plan: FunctionPlan
    own: FunctionConfig

    @property
    def fetched_names(self) -> dict[_Place, str]:
        """Return the queues and exchanges that only the fetched configuration names."""
        if not self.plan.function.origin:
            return {}
        own = _list_names(self.own.spec.triggers)
        return {place: name for place, name in _list_names(self.plan.triggers).items() if own.get(place) != name}


def check_queues(claimant: Claimant, others: Sequence[Claimant]) -> None:
    """Refuse a function whose queues are others' in a way that no one can want.

    Raises:
        AccessError: code that is fetched, this function's or another's, would take messages of the other one.
        ConfigError: a queue of one holds the failed messages of the other.
    """
    both = [pair for other in others for pair in ((claimant, other), (other, claimant))]
    if taken := [problem for one, other in both for problem in _find_taken(one, other)]:
        raise AccessError(taken)
    if collisions := [problem for one, other in both for problem in _find_collisions(one.plan, other.plan)]:
        raise ConfigError(collisions)


def _find_taken(one: Claimant, other: Claimant) -> Iterator[str]:
    """Yield what the fetched configuration of the one names of the other's."""
    queues = own_queues(other.plan)
    for (trigger, key), name in one.fetched_names.items():
        if any(name == queue or is_kept_for(name, queue) for queue in queues):
            own = f"{one.plan.function.folder}/function.yaml"
            yield (
                f"{_place(one.plan, trigger, key)}: {name!r} is a queue of the function {other.plan.name}, whose "
                f"messages fetched code may not take; write the same into {own} if it is to have them"
            )


def _find_collisions(one: FunctionPlan, other: FunctionPlan) -> Iterator[str]:
    """Yield the queues of the one in which failed messages of the other wait."""
    for trigger, queue in name_queues(one).items():
        for source in dict.fromkeys(own_queues(other)):
            if is_kept_for(queue, source):
                what = f"{queue!r} holds the failed messages of {source!r}, a queue of the function {other.name}"
                yield f"{_place(one, trigger, 'queueName')}: {what}; choose another"


def _list_names(triggers: Mapping[str, Trigger]) -> dict[_Place, str]:
    """Return the queues and exchanges of the stack's broker that triggers name."""
    found: dict[_Place, str] = {}
    for name, trigger in triggers.items():
        if isinstance(trigger, MqttTrigger):
            found[name, "queueName"] = trigger.attributes.queue_name
        elif isinstance(trigger, RabbitTrigger) and is_stack_broker(trigger):
            found[name, "queueName"] = trigger.attributes.queue_name
            found[name, "exchangeName"] = trigger.attributes.exchange_name
    return {place: name for place, name in found.items() if name}


def _place(plan: FunctionPlan, trigger: str, key: str) -> str:
    return f"{plan.function.document}: spec.triggers.{trigger}.attributes.{key}"
