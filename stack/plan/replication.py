"""Queues that one of the broker's nodes alone keeps: which of them become quorum queues, and which cannot.

While the node of a durable classic queue is away, no one can publish to it, consume it or even ask for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stack.plan.broker import SERVICE
from stack.plan.definitions import QUEUE, Definitions, Document
from stack.plan.diff import Action
from stack.plan.drift import GOES_ON, MOVING, Difference
from stack.plan.trouble import Trouble

_QUORUM, _CLASSIC = "quorum", "classic"
# What quorum queues may be declared with (RabbitMQ 4.0).
_ARGUMENTS = {
    *("x-expires", "x-message-ttl", "x-max-length", "x-max-length-bytes", "x-overflow", "x-delivery-limit"),
    *("x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy", "x-single-active-consumer"),
}
_NO_OVERFLOW = "reject-publish-dlx"
COPY_COLUMNS = "name,type,members,online"


def find_single_copies(found: Definitions) -> Iterator[Difference]:
    """Yield the classic queues of a broker of several nodes that are to be quorum queues, others' too."""
    for one in found.queues.values():
        name = str(one["name"])
        if name.endswith(MOVING):
            source = found.queues.get(("/", name.removesuffix(MOVING)), one)
            yield _replace({**source, "name": name.removesuffix(MOVING)}, GOES_ON)
        elif _is_single(one) and not _find_obstacle(one):
            yield _replace(one, "is on one node only: type: classic instead of quorum")


def find_fixed_copies(found: Definitions) -> Iterator[Trouble]:
    """Yield the classic queues that stay on one node, since a quorum queue cannot be what they are."""
    for one in found.queues.values():
        if _is_single(one) and (obstacle := _find_obstacle(one)):
            what = f"is on one node only, and stands still while that is away: quorum queues have no {obstacle}."
            advice = "Have its clients declare it without that, and delete it."
            yield Trouble(f"queue {one['name']}", what, advice, "warn")


def find_missing_copies(queues: Sequence[Mapping[str, Any]], nodes: int) -> Iterator[Trouble]:
    """Yield one trouble for all quorum queues that are not on all nodes, or whose copies are not all there."""
    lacking = [one for one in queues if one.get("type") == _QUORUM and len(one.get("online") or ()) < nodes]
    if lacking:
        count = f"{len(lacking)} queue{'s' * (len(lacking) != 1)}, such as {lacking[0]['name']},"
        some = min(len(one.get("online") or ()) for one in lacking)
        what = f"keeps {count} on {some} of {nodes} nodes now."
        yield Trouble(SERVICE, what, "It makes copies by itself once all nodes are there.", "warn")


def _replace(one: Document, reason: str) -> Difference:
    return Difference(QUEUE, {**one, "durable": True, "auto_delete": False, "type": _QUORUM}, Action.REPLACE, reason)


def _is_single(one: Document) -> bool:
    return bool(one["type"] == _CLASSIC and one["durable"] and not one["auto_delete"])


def _find_obstacle(one: Document) -> str:
    """Return what of a queue's declaration a quorum queue does not know; nothing if it could be one."""
    unknown = sorted(set(one["arguments"]) - _ARGUMENTS)
    if one["arguments"].get("x-overflow") == _NO_OVERFLOW:
        return f"x-overflow: {_NO_OVERFLOW}"
    return unknown[0] if unknown else ""
