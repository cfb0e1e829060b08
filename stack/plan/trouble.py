"""What is wrong with the broker, the store, or handlers: what they tell, and what a person is to know of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stack.contract import DEAD, RETRY
from stack.plan.bridge import BRIDGE
from stack.plan.broker import EXAMPLES, SERVICE
from stack.plan.drift import MOVING
from stack.plan.store import SERVICE as STORE


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong, and what to do about it; `level` is error or warn."""

    subject: str
    what: str
    advice: str
    level: str = "error"

    def __str__(self) -> str:
        """Return it in a sentence, and what to do in another."""
        return f"{self.subject} {self.what} {self.advice}"

    def as_document(self) -> dict[str, str]:
        """Return it as `--json` and the dashboard's pages take it."""
        document = asdict(self)
        return {**document, "next": document.pop("advice")}


# Which columns of the API are read, and of how many seconds, in one step.
NODE_COLUMNS = "mem_alarm,mem_used,mem_limit,disk_free_alarm,disk_free,disk_free_limit"
QUEUE_COLUMNS = (
    "name,type,exclusive,consumers,messages,message_bytes,message_bytes_ready,messages_details,"
    "effective_policy_definition"
)
CONNECTION_COLUMNS = "name,state,user,user_provided_name"
GROWTH_SECONDS = 600

# So many messages, or bytes, may wait in a queue without a consumer before it is worth a word: what is looked at now
# and then, such as iot/logs, is to have some.
_FEW, _SMALL = 1_000, 10_000_000
_MEGABYTE = 1_000_000
_STREAM = "stream"
# The share of what a queue may hold from which on it is full: the next message may be larger than what is left; and
# what RabbitMQ calls it that a full queue takes no more.
_FULL, _REFUSES = 0.95, "reject-publish"
# A connection that has not published during the alarm is only `blocking`.
_BLOCKED = "blocked"


def find_alarms(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Yield the alarms for which the broker lets no one publish."""
    for node in nodes:
        if node.get("disk_free_alarm"):
            left, least = write_megabytes(node.get("disk_free")), write_megabytes(node.get("disk_free_limit"))
            what = f"takes no messages: {left} of the disk are free, and it wants {least}."
            advice = "Free some of the disk: `docker system df` shows what Docker holds. Publishers then go on."
            yield Trouble(SERVICE, what, advice)
        if node.get("mem_alarm"):
            used, most = write_megabytes(node.get("mem_used")), write_megabytes(node.get("mem_limit"))
            what = f"takes no messages: it uses {used} of memory, and is to use {most}."
            advice = "Have the queues consumed, or purge what no one wants. Publishers then go on."
            yield Trouble(SERVICE, what, advice)


def find_blocked(connections: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Yield one trouble for all publishers that wait for the broker."""
    blocked = [one for one in connections if one.get("state") == _BLOCKED]
    if blocked:
        names = sorted({str(one.get("user_provided_name") or one.get("user") or one.get("name")) for one in blocked})
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        count = "1 connection waits" if len(blocked) == 1 else f"{len(blocked)} connections wait"
        advice = "Nothing is lost: they go on as soon as the broker takes messages again."
        yield Trouble(SERVICE, f"{count} to publish: {some}.", advice, "warn")


def find_growing(queues: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Yield queues without a consumer that hold much, and more than ten minutes ago.

    Retries and dead letters are not meant to be consumed, a stream keeps what was consumed, and an exclusive queue goes
    with its client. What waits for another place is told of as its bridge.
    """
    for queue in sorted(queues, key=lambda one: str(one["name"])):
        messages, size = int(queue.get("messages") or 0), int(queue.get("message_bytes") or 0)
        is_much = messages >= _FEW or size >= _SMALL
        is_alone = not queue.get("consumers") and not _is_full(queue)
        if is_much and is_alone and _is_meant_for_consumers(queue) and _grows(queue):
            what = f"grows, and no one consumes it: {messages:,} messages, {write_megabytes(size)}."
            limit = "the oldest messages go" if EXAMPLES.search(str(queue["name"])) else "it takes no more messages"
            advice = f"Consume it, or delete it together with its bindings; at its limit {limit}."
            yield Trouble(f"queue {queue['name']}", what, advice, "warn")


def find_full(queues: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Yield queues that hold as much as they may, so that messages are refused, or lost.

    Those of the example are to drop what functions say while no one listens.
    """
    for queue in sorted(queues, key=lambda one: str(one["name"])):
        name = str(queue["name"])
        if _is_full(queue) and _is_meant_for_consumers(queue) and not EXAMPLES.search(name):
            held, most = (write_megabytes(size) for size in _read_fill(queue))
            refuses = queue["effective_policy_definition"].get("overflow") == _REFUSES
            then = "the broker refuses more" if refuses else "the oldest go as more come"
            advice = "Have it consumed faster, or raise queue.megabytes in stack.yaml."
            yield Trouble(f"queue {name}", f"is full: {held} of {most} wait, and {then}.", advice)


def _is_full(queue: Mapping[str, Any]) -> bool:
    held, most = _read_fill(queue)
    return most > 0 and held >= most * _FULL


def _read_fill(queue: Mapping[str, Any]) -> tuple[int, int]:
    """Return the bytes that wait for a consumer, which alone are limited, and how many may; 0 for as many as come."""
    most = (queue.get("effective_policy_definition") or {}).get("max-length-bytes")
    return int(queue.get("message_bytes_ready") or 0), int(most or 0)


def _is_meant_for_consumers(queue: Mapping[str, Any]) -> bool:
    name = str(queue["name"])
    is_own = name.endswith((DEAD, MOVING)) or RETRY in name or name.startswith(BRIDGE)
    return not is_own and not queue.get("exclusive") and queue.get("type") != _STREAM


def _grows(queue: Mapping[str, Any]) -> bool:
    """Return whether it holds more than at the oldest moment that RabbitMQ tells of."""
    samples = (queue.get("messages_details") or {}).get("samples") or ()
    oldest = min(samples, key=lambda one: float(one["timestamp"]), default=None)
    return oldest is not None and int(queue["messages"]) > int(oldest["sample"])


def write_megabytes(size: float | None) -> str:
    """Return a size in bytes as a person reads it."""
    return f"{(size or 0) / _MEGABYTE:,.0f} MB"


# So many failures, and such a share of the last events, are worth a word.
_FEW_FUNCTION_HEALTH, _SHARE = 3, 0.2


@dataclass(frozen=True)
class Handling:
    """What the containers of a function tell of their handlers, together."""

    busy_seconds: float = 0.0
    """How long the longest event in progress has taken so far."""
    stuck_workers: int = 0
    """How many workers have been at one event for more than a minute."""
    recent_events: int = 0
    recent_failures: int = 0
    """Of the last events, fifty or a little more of each container, how many failed."""
    refusal: str = ""
    """Which queue of failed messages the broker refuses, and why; empty when it does not."""

    def __add__(self, other: "Handling") -> "Handling":
        return Handling(
            max(self.busy_seconds, other.busy_seconds),
            self.stuck_workers + other.stuck_workers,
            self.recent_events + other.recent_events,
            self.recent_failures + other.recent_failures,
            self.refusal or other.refusal,
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as the dashboard's pages take it."""
        return asdict(self)


def read_handling(document: Mapping[str, Any]) -> Handling:
    """Return what a document holds of it; what it does not hold, as one of an older release, is nothing."""
    return Handling(
        float(document.get("busy_seconds") or 0.0),
        int(document.get("stuck_workers") or 0),
        int(document.get("recent_events") or 0),
        int(document.get("recent_failures") or 0),
        str(document.get("refusal") or ""),
    )


def find_handling_troubles(name: str, handling: Handling) -> Iterator[Trouble]:
    """Yield what is wrong with the handlers of a function."""
    if stuck := handling.stuck_workers:
        workers = "a worker has" if stuck == 1 else f"{stuck} workers have"
        what = f"{workers} been at one event for {_tell_time(handling.busy_seconds)}."
        advice = f"`invoke logs {name}` shows what it said last; its eventTimeout ends such an event."
        yield Trouble(name, what, advice, "warn")
    if handling.refusal:
        what = f"cannot keep what it fails at: {handling.refusal}."
        advice = "None is lost: these messages stay unacknowledged. Let the trigger's account configure and write it."
        yield Trouble(name, what, advice, "warn")
    events, failures = handling.recent_events, handling.recent_failures
    if failures >= _FEW_FUNCTION_HEALTH and failures >= events * _SHARE:
        what = f"{failures} of its last {events} events failed."
        yield Trouble(name, what, f"`invoke logs {name}` shows the errors.", "warn")


def _tell_time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


# The room that is left, as a multiple of that at which nothing more is stored, from which on it is told.
_NEARLY = 2


@dataclass(frozen=True)
class StoreState:
    """What the store tells of itself; sizes are in bytes."""

    points: int
    size: int
    free: int
    """How much of its disk is free."""
    least: int
    """While less is free, nothing is stored: data.disk_free."""
    is_full: bool

    def __str__(self) -> str:
        size, free = write_megabytes(self.size), write_megabytes(self.free)
        return f"The store has {self.points:,} points in {size}; {free} of its disk are free."

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Return what is wrong, or will be: no room."""
        advice = "Free some of the disk: `docker system df` shows what Docker holds; or lower data.retention."
        free, least = write_megabytes(self.free), write_megabytes(self.least)
        if self.is_full:
            what = f"takes no readings: {free} of the disk are free, and data.disk_free is {least}; they wait."
            return (Trouble(STORE, what, f"{advice} What waits is stored then."),)
        if self.free < _NEARLY * self.least:
            what = f"will take no more readings soon: {free} of the disk are free, and data.disk_free is {least}."
            return (Trouble(STORE, what, advice, "warn"),)
        return ()
