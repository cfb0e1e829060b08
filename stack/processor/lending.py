"""One dispatch: messages go to a worker in another process, and their outcomes come back to their deliveries."""

import time
from collections.abc import Sequence
from typing import Any

from stack.processor.delivery import Delivery, Failure
from stack.processor.response import TIMED_OUT, Response, refuse
from stack.processor.stream import LOOK_AGAIN, StreamedDelivery
from stack.processor.wire import GONE, Outcome, Wire, pack_delivery, unpack_outcome, unpack_response

_ENDED = "the worker ended while it handled this event"


class UnreadError(Exception):
    """The dispatched worker has gone without having read what was sent to it, so that another may be given it."""


class ClaimedDelivery:
    """A delivery on its way to another dispatched worker; it was claimed for the one before."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def claim(self) -> bool:
        """Return that it is to be handled."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delivery, name)


def dispatch(wire: Wire, deliveries: Sequence[Delivery], limit: float) -> bool:
    """Send messages, wait for their outcome and pass it on; return whether the dispatched worker lives.

    One that has gone after `limit` seconds, unless that is zero, was killed for taking too long.

    Raises:
        UnreadError: the dispatched worker has gone, and the messages have no outcome yet.
    """
    began = time.monotonic()
    frame = _send(wire, deliveries)
    if frame is None and wire.is_unread:
        raise UnreadError
    if frame and frame[0] == "begin":
        return _relay(wire, deliveries[0], unpack_response(frame[1]))
    if frame:
        outcomes = [unpack_outcome(outcome) for outcome in frame[1]]
    else:
        outcomes = [_explain_loss(limit, time.monotonic() - began)] * len(deliveries)
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        _settle(delivery, *outcome)
    return frame is not None


def _send(wire: Wire, deliveries: Sequence[Delivery]) -> Any:
    """Send the messages and return the first frame that comes back; None if the dispatched worker is gone."""
    try:
        wire.send([pack_delivery(delivery) for delivery in deliveries])
    except OSError:
        wire.is_unread = True
        return None
    return wire.receive()


def _explain_loss(limit: float, seconds: float) -> Outcome:
    if limit and seconds >= limit:
        return TIMED_OUT, Failure(f"the handler timed out: it took longer than {limit:g} s", "")
    return refuse(500, _ENDED), Failure(_ENDED, "")


def _settle(delivery: Delivery, response: Response, failure: Failure | None) -> None:
    if failure:
        delivery.failed(response, failure)
    else:
        delivery.done(response)


def _relay(wire: Wire, delivery: Delivery, response: Response) -> bool:
    """Pass a stream on as it comes; return whether the dispatched worker lives."""
    if not isinstance(delivery, StreamedDelivery):
        return _collect(wire, delivery, response)
    delivery.begin(response)
    is_told = False
    while frame := wire.receive():
        if frame[0] == "end":
            delivery.end(Failure(*frame[1]) if frame[1] else None)
            return True
        while delivery.is_full and not delivery.is_gone:
            time.sleep(LOOK_AGAIN)
        if not delivery.is_gone:
            delivery.send(frame[1])
        elif not is_told:
            is_told = _send_gone(wire)
    delivery.end(Failure(_ENDED, ""))
    return False


def _collect(wire: Wire, delivery: Delivery, response: Response) -> bool:
    """Pass a stream on as one response."""
    pieces = [response.body]
    while (frame := wire.receive()) and frame[0] == "piece":
        pieces.append(frame[1])
    failure = Failure(_ENDED, "") if not frame else Failure(*frame[1]) if frame[1] else None
    _settle(delivery, response._replace(body=b"".join(pieces)), failure)
    return bool(frame)


def _send_gone(wire: Wire) -> bool:
    """Tell the dispatched worker that no one waits for its stream."""
    try:
        wire.send(GONE)
    except OSError:
        # It is gone itself.
        return True
    return True
