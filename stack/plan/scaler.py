"""The scaler's decisions: how many containers of a function its load asks for. Pure: figures in, a number out.

The words are KEDA's. A function is given as many containers as the greatest of its metrics asks for; more of them at
once, fewer only when none of the last seconds, the cool-down, asked for more, so that a load that comes and goes does
not make containers come and go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from stack.plan.scale import Limits

PREFIX = "tidegate.io/"
# What one container is to have at once: messages that wait or are in hand, as with KEDA's rabbitmq scaler; requests.
_QUEUE_LENGTH, _REQUESTS = 20.0, 10.0
_COOL_DOWN_SECONDS = 60.0


@dataclass(frozen=True)
class Targets:
    """What one container is to carry; a rate of 0 is not looked at. The cool-down is in seconds."""

    queue_length: float = _QUEUE_LENGTH
    message_rate: float = 0.0
    requests: float = _REQUESTS
    cool_down: float = _COOL_DOWN_SECONDS


@dataclass(frozen=True)
class Load:
    """What a function has to do: messages in its queues, messages that come in a second, and requests."""

    messages: int = 0
    rate: float = 0.0
    requests: int = 0


@dataclass(frozen=True)
class Wish:
    """How many containers a load asked for, and when, in seconds of a clock that only goes forward."""

    time: float
    replicas: int


@dataclass(frozen=True)
class Memory:
    """What the next decision has to know: since when loads are looked at, and what they asked for of late."""

    since: float
    wishes: tuple[Wish, ...] = ()


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


def read_targets(annotations: Mapping[str, str]) -> Targets:
    """Return a function's targets: the annotations `tidegate.io/queue-length`, `message-rate`, `requests`, `cool-down`.

    Raises:
        ValueError: one is no number above 0.
    """
    defaults = Targets()
    return Targets(
        _read(annotations, "queue-length", defaults.queue_length),
        _read(annotations, "message-rate", defaults.message_rate),
        _read(annotations, "requests", defaults.requests),
        _read(annotations, "cool-down", defaults.cool_down),
    )


def ask_for(load: Load, targets: Targets, limits: Limits) -> int:
    """Return how many containers a load asks for."""
    shares = [load.messages / targets.queue_length, load.requests / targets.requests]
    if targets.message_rate:
        shares.append(load.rate / targets.message_rate)
    return min(max(ceil(max(shares)), limits.least), limits.most)


def decide(current: int, load: Load, policy: Policy, *, now: float, memory: Memory) -> Decision:
    """Return how many containers there are to be: more at once, fewer after the cool-down.

    Who has only begun to look does not know what was asked for before, and takes none away yet.
    """
    cool_down, limits = policy.targets.cool_down, policy.limits
    asked = ask_for(load, policy.targets, limits)
    wishes = (*(one for one in memory.wishes if now - one.time < cool_down), Wish(now, asked))
    needed = max(one.replicas for one in wishes)
    kept = min(current, needed) if now - memory.since >= cool_down else current
    replicas = min(max(asked, kept, limits.least), limits.most)
    return Decision(replicas, Memory(memory.since, wishes))


def _read(annotations: Mapping[str, str], name: str, default: float) -> float:
    text = annotations.get(PREFIX + name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"metadata.annotations.{PREFIX}{name}: should be a number above 0, not {text!r}")
    return value
