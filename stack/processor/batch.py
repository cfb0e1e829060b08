"""Several events handed over at once: gathered, and each given its own response."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any

import nuclio_sdk

from stack.processor.configuration import Batch
from stack.processor.delivery import Delivery, Last
from stack.processor.response import Response, Stream, refuse, respond

Respond = Callable[[Any], Response | Stream]

# What a client gets for whose event the handler returned nothing; Nuclio's answer.
_MISSING = refuse(200, "")


def gather(first: Delivery, take: Callable[[float], Delivery | None], batch: Batch) -> list[Delivery]:
    """Return the deliveries of one batch, claimed: up to its size, or what has come within its time-out.

    `take` returns the next within some seconds, or raises Empty; None if there are no more, which it then says again.
    """
    deliveries = [first] if first.claim() else []
    deadline = monotonic() + batch.timeout
    with suppress(Empty):
        while len(deliveries) < _size(first, batch):
            delivery = take(max(0.0, deadline - monotonic()))
            if delivery is None or isinstance(delivery, Last):
                break
            if delivery.claim():
                deliveries.append(delivery)
    return deliveries


async def gather_async(
    first: Delivery, take: Callable[[float], Awaitable[Delivery | None]], batch: Batch
) -> list[Delivery]:
    """Do as `gather`, in an event loop."""
    deliveries = [first] if first.claim() else []
    deadline = monotonic() + batch.timeout
    with suppress(Empty):
        while len(deliveries) < _size(first, batch):
            delivery = await take(max(0.0, deadline - monotonic()))
            if delivery is None or isinstance(delivery, Last):
                break
            if delivery.claim():
                deliveries.append(delivery)
    return deliveries


def _size(first: Delivery, batch: Batch) -> int:
    """Return the size to wait for: what a dispatcher has sent is one batch already."""
    if isinstance(first, Last):
        return 0
    companions = getattr(first, "companions", None)
    return batch.size if companions is None else int(companions) + 1


def match_responses(events: Sequence[Any], result: Any, respond: Respond = respond) -> list[Response]:
    """Return the response to each event of a batch; `respond` makes it of what the handler says.

    They are found by their `event_id`, or, where none has one, by their order. None, an empty list, and a response
    that is missing mean what None means of a Nuclio function that batches: handled, and nothing to say.

    Raises:
        TypeError: the result is no list, or has a stream in it.
        ValueError: nothing says which response is whose.
    """
    if result is None:
        return [_MISSING] * len(events)
    if not isinstance(result, list | tuple):
        raise TypeError(f"a handler of batches should return a list of responses, not {type(result).__name__}")
    known = {item.event_id: item for item in result if isinstance(item, nuclio_sdk.Response) and item.event_id}
    if known or not result:
        return [_respond(known[event.id], respond) if event.id in known else _MISSING for event in events]
    if len(result) != len(events):
        raise ValueError(f"{len(result)} responses without event_id for a batch of {len(events)} events")
    return [_respond(item, respond) for item in result]


def _respond(item: Any, respond: Respond) -> Response:
    response = respond(item)
    if isinstance(response, Stream):
        raise TypeError("a response of a batch cannot be a generator")
    return response
