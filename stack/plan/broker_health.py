"""The broker's health: alarms, publishers that it blocks, and queues that grow while nobody consumes them.

What is read here are answers of RabbitMQ's management API.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stack.plan.broker import SERVICE
from stack.plan.dead_letter import DEAD, RETRY
from stack.plan.drift import MOVING
from stack.plan.trouble import Trouble

# Which columns of the API are read, and of how many seconds, in one step.
NODE_COLUMNS = "mem_alarm,mem_used,mem_limit,disk_free_alarm,disk_free,disk_free_limit"
QUEUE_COLUMNS = "name,type,exclusive,consumers,messages,message_bytes,messages_details"
CONNECTION_COLUMNS = "name,state,user,user_provided_name"
GROWTH_SECONDS = 600

# So many messages, or bytes, may wait in a queue without a consumer before it is worth a word: what is looked at now
# and then, such as iot/logs, is to have some.
_FEW, _SMALL = 1_000, 10_000_000
_MEGABYTE = 1_000_000
_STREAM = "stream"
# A connection that has not published during the alarm is only `blocking`.
_BLOCKED = "blocked"


def find_alarms(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """Yield the alarms for which the broker lets nobody publish."""
    for node in nodes:
        if node.get("disk_free_alarm"):
            left, least = _megabytes(node.get("disk_free")), _megabytes(node.get("disk_free_limit"))
            what = f"takes no messages: {left} of the disk are free, and it wants {least}."
            advice = "Free some of the disk: `docker system df` shows what Docker holds. Publishers then go on."
            yield Trouble(SERVICE, what, advice)
        if node.get("mem_alarm"):
            used, most = _megabytes(node.get("mem_used")), _megabytes(node.get("mem_limit"))
            what = f"takes no messages: it uses {used} of memory, and is to use {most}."
            advice = "Have the queues consumed, or purge what nobody wants. Publishers then go on."
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
    with its client.
    """
    for queue in sorted(queues, key=lambda one: str(one["name"])):
        messages, size = int(queue.get("messages") or 0), int(queue.get("message_bytes") or 0)
        is_much = messages >= _FEW or size >= _SMALL
        if is_much and not queue.get("consumers") and _is_meant_for_consumers(queue) and _grows(queue):
            what = f"grows, and nobody consumes it: {messages:,} messages, {_megabytes(size)}."
            advice = "Consume it, or delete it together with its bindings; at its limit it takes no more messages."
            yield Trouble(f"queue {queue['name']}", what, advice, "warn")


def _is_meant_for_consumers(queue: Mapping[str, Any]) -> bool:
    name = str(queue["name"])
    is_own = name.endswith((DEAD, MOVING)) or RETRY in name
    return not is_own and not queue.get("exclusive") and queue.get("type") != _STREAM


def _grows(queue: Mapping[str, Any]) -> bool:
    """Say whether it holds more than at the oldest moment that RabbitMQ tells of."""
    samples = (queue.get("messages_details") or {}).get("samples") or ()
    oldest = min(samples, key=lambda one: float(one["timestamp"]), default=None)
    return oldest is not None and int(queue["messages"]) > int(oldest["sample"])


def _megabytes(size: float | None) -> str:
    return f"{(size or 0) / _MEGABYTE:,.0f} MB"
