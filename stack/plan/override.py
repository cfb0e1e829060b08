"""Policies: which of them applies to a queue, and where one of somebody else takes the place of a declared one."""

import re
from collections.abc import Collection, Iterator, Sequence

from stack.plan.dead_letter import DEAD, RETRY
from stack.plan.definitions import OPERATOR_POLICY, POLICY, QUEUE, Definitions, Document

_VHOST = "/"


def find_overrides(
    wanted: Definitions, found: Definitions, queues: Collection[str]
) -> Iterator[tuple[Document, Document, str]]:
    """Yield each policy that applies in the place of a declared one, that one, and the first queue where it does.

    `queues` are those of functions; to what users make for themselves their own policies may apply.
    """
    declared = list(wanted.of(POLICY).values())
    foreign = [one for identity, one in found.of(POLICY).items() if identity not in wanted.of(POLICY)]
    for one in foreign:
        for queue in _own_queues(wanted, found, queues):
            own = _choose(declared, queue)
            if own and _matches(one, queue) and _priority(one) >= _priority(own):
                yield one, own, queue["name"]
                break


def find_operator_policies(
    wanted: Definitions, found: Definitions, queues: Collection[str]
) -> Iterator[tuple[Document, str]]:
    """Yield each operator policy that is not declared and applies to a function's queue, and the first such queue."""
    for identity, one in found.of(OPERATOR_POLICY).items():
        if identity not in wanted.of(OPERATOR_POLICY):
            names = (queue["name"] for queue in _own_queues(wanted, found, queues) if _matches(one, queue))
            if name := next(names, ""):
                yield one, name


def _own_queues(wanted: Definitions, found: Definitions, queues: Collection[str]) -> Iterator[Document]:
    """Yield the queues of functions as they are declared or, if they only are there, as they are."""
    yield from wanted.of(QUEUE).values()
    for identity, one in found.of(QUEUE).items():
        if identity not in wanted.of(QUEUE) and _find_source(one["name"]) in queues:
            yield one


def _find_source(name: str) -> str:
    """Return the queue to which one belongs that holds retries or dead letters; the queue itself if it is neither."""
    return name.partition(RETRY)[0].removesuffix(DEAD)


def _choose(policies: Sequence[Document], queue: Document) -> Document | None:
    return max((one for one in policies if _matches(one, queue)), key=_priority, default=None)


def _priority(policy: Document) -> float:
    return float(policy.get("priority", 0))


def _matches(policy: Document, queue: Document) -> bool:
    kinds = ("all", "queues", f"{queue['type']}_queues")
    if policy.get("vhost", _VHOST) != queue.get("vhost", _VHOST) or policy.get("apply-to", "all") not in kinds:
        return False
    try:
        return re.search(policy.get("pattern", ""), queue["name"]) is not None
    except re.error:
        # RabbitMQ's expressions know a little more than Python's.
        return False
