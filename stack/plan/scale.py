"""How many containers of a function run, as far as its author and its user say."""

from dataclasses import dataclass

from stack.config.function import Spec
from stack.config.replica import MOST_REPLICAS
from stack.config.trigger import HttpTrigger, MqttTrigger, RabbitTrigger, Trigger
from stack.plan.function import is_stack_broker


@dataclass(frozen=True)
class Limits:
    """The fewest and the most containers of a function, and whether the scaler chooses between them."""

    least: int
    most: int
    is_automatic: bool


def find_limits(spec: Spec) -> Limits:
    """Return what `minReplicas` and `maxReplicas` allow; without either, its user may have any number."""
    if spec.disable:
        return Limits(0, 0, is_automatic=False)
    if spec.replicas is not None or (spec.min_replicas is None and spec.max_replicas is None):
        return Limits(0, MOST_REPLICAS, is_automatic=False)
    bounds = spec.bounds
    enabled = (trigger for trigger in spec.triggers.values() if not trigger.disabled)
    least = bounds.fewest if all(map(_wakes, enabled)) else max(1, bounds.fewest)
    return Limits(least, bounds.most, is_automatic=bounds.most > least)


def _wakes(trigger: Trigger) -> bool:
    """Say whether the scaler sees that there is something to do: neither the clock nor a broker elsewhere tells it."""
    if isinstance(trigger, RabbitTrigger | MqttTrigger):
        return is_stack_broker(trigger)
    return isinstance(trigger, HttpTrigger)


def choose_replicas(spec: Spec, kept: int | None) -> int:
    """Return how many containers run: as many as were kept since `scale-function` or the scaler, or as written.

    A function that may have none begins with one, so that its first deploy shows that it works.
    """
    limits = find_limits(spec)
    first = spec.replicas if spec.replicas is not None else max(1, spec.bounds.fewest)
    return min(max(limits.least, first if kept is None else kept), limits.most)
