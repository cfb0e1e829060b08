"""The scaler's decisions: how many containers of a function its load asks for. Pure: figures in, a number out.

The words are KEDA's. A function is given as many containers as the greatest of its metrics asks for; more of them at
once, fewer only when none of the last seconds, the cool-down, asked for more, so that a load that comes and goes does
not make containers come and go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from stack.config.function import FunctionConfig, Spec
from stack.config.scaling import COOL_DOWN, MESSAGE_RATE, MOST_REPLICAS, QUEUE_LENGTH, REQUESTS, read_target
from stack.plan.trigger.registry import find_kind


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
    least = bounds.fewest if all(find_kind(one).wakes(one) for one in enabled) else max(1, bounds.fewest)
    return Limits(least, bounds.most, is_automatic=bounds.most > least)


def choose_replicas(spec: Spec, kept: int | None) -> int:
    """Return how many containers run: as many as were kept since `scale-function` or the scaler, or as written.

    A function that may have none begins with one, so that its first deploy shows that it works.
    """
    limits = find_limits(spec)
    first = spec.replicas if spec.replicas is not None else max(1, spec.bounds.fewest)
    return min(max(limits.least, first if kept is None else kept), limits.most)


# What one container is to have at once: messages that wait or are handled, as with KEDA's rabbitmq scaler; requests.
_QUEUE_LENGTH, _REQUESTS = 20.0, 10.0
_COOL_DOWN_SECONDS = 60.0


@dataclass(frozen=True)
class Targets:
    """What one container is to carry; a rate of 0 is not looked at.

    Times are in seconds: the cool-down, and how long there is nothing to do before the last container goes.
    """

    queue_length: float = _QUEUE_LENGTH
    message_rate: float = 0.0
    requests: float = _REQUESTS
    cool_down: float = _COOL_DOWN_SECONDS
    inactivity: float = _COOL_DOWN_SECONDS


@dataclass(frozen=True)
class Load:
    """What a function has to do: messages in its queues, messages that come in a second, and requests."""

    messages: int = 0
    rate: float = 0.0
    requests: int = 0


@dataclass(frozen=True)
class ReplicaRequest:
    """How many containers a load asked for, and when, in seconds of a clock that only goes forward."""

    time: float
    replicas: int


@dataclass(frozen=True)
class Memory:
    """What the next decision has to know: since when loads are looked at, and what they asked for of late."""

    since: float
    requests: tuple[ReplicaRequest, ...] = ()


@dataclass(frozen=True)
class Decision:
    """How many containers there are to be, and what is to be remembered for the next."""

    replicas: int
    memory: Memory


@dataclass(frozen=True)
class Policy:
    """What bounds the decisions about one function."""

    targets: Targets
    limits: Limits


def read_targets(config: FunctionConfig) -> Targets:
    """Return a function's targets: of its annotations, of Nuclio's `autoScaleMetrics` and `scaleToZero`, or the usual.

    Of several metrics that mean the same the lowest threshold counts, as it asks for most.
    """
    annotations, spec, usual = config.metadata.annotations, config.spec, Targets()

    def find(name: str, default: float) -> float:
        given = [float(metric.threshold) for metric in spec.auto_scale_metrics if metric.target == name]
        return read_target(annotations, name) or min(given, default=default)

    cool_down = find(COOL_DOWN, usual.cool_down)
    return Targets(
        find(QUEUE_LENGTH, usual.queue_length),
        find(MESSAGE_RATE, usual.message_rate),
        find(REQUESTS, usual.requests),
        cool_down,
        spec.scale_to_zero.window or cool_down,
    )


def ask_for(load: Load, targets: Targets, *, limits: Limits) -> int:
    """Return how many containers a load asks for."""
    shares = [load.messages / targets.queue_length, load.requests / targets.requests]
    if targets.message_rate:
        shares.append(load.rate / targets.message_rate)
    return min(max(ceil(max(shares)), limits.least), limits.most)


def decide(current: int, load: Load, policy: Policy, *, now: float, memory: Memory) -> Decision:
    """Return how many containers there are to be: more at once, fewer after the cool-down.

    Who has only begun to look does not know what was asked for before, and takes none away yet.
    """
    targets, limits = policy.targets, policy.limits
    asked = ask_for(load, targets, limits=limits)
    longest = max(targets.cool_down, targets.inactivity)
    requests = (*(one for one in memory.requests if now - one.time < longest), ReplicaRequest(now, asked))
    kept = min(current, _need(requests, targets, now=now, since=memory.since, current=current))
    replicas = min(max(asked, kept, limits.least), limits.most)
    return Decision(replicas, Memory(memory.since, requests))


def _need(requests: Sequence[ReplicaRequest], targets: Targets, *, now: float, since: float, current: int) -> int:
    """Return how many containers were asked for of late; none after a time without any need, the inactivity."""
    if now - since >= targets.inactivity and not _most(requests, now - targets.inactivity):
        return 0
    return max(1, _most(requests, now - targets.cool_down)) if now - since >= targets.cool_down else current


def _most(requests: Sequence[ReplicaRequest], since: float) -> int:
    return max(one.replicas for one in requests if one.time > since)
