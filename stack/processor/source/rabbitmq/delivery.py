"""One message of a queue on its way through a worker."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from stack.contract import DELIVERY_COUNT
from stack.processor.delivery import Failure
from stack.processor.in_flight import InFlight, fingerprint_message
from stack.processor.message import AmqpMessage
from stack.processor.response import Response
from stack.processor.source.rabbitmq.flow import Prefetch

# How often a message may be delivered without an outcome; a quorum queue counts that.
_MOST_DELIVERIES = 5
# Seconds that a message waits at most for the copies of those that failed before it: one that has failed, or ended a
# worker, perhaps; and any other.
_COPIES_WITHIN, _SOON = 2.0, 0.1


class DeliveringSession(Protocol):
    """What a delivery needs of the session that it came with."""

    is_current: bool
    outcomes: "deque[tuple[AmqpDelivery, Failure | None]]"
    prefetch: Prefetch
    in_flight: InFlight
    settle_copies: Callable[[float], None]

    @property
    def has_copies(self) -> bool:
        """Return whether originals of copies are to be acknowledged still."""

    def note_late(self, message: AmqpMessage, seconds: float) -> None:
        """Note how long a message took."""

    def take_overdue(self, fingerprint: int) -> str:
        """Return why a message failed whose outcome could not be told; nothing if there is no such."""


class AmqpDelivery:
    """One message on its way through a worker."""

    __slots__ = (
        "_began",
        "_fingerprint",
        "_is_again",
        "_left",
        "_session",
        "crash_fingerprint",
        "message",
        "pool_index",
        "tag",
    )

    def __init__(self, session: DeliveringSession, tag: int, message: AmqpMessage, *, is_again: bool) -> None:
        self._session = session
        self._is_again = is_again
        self._began = 0.0
        self._fingerprint = 0
        self._left = 0.0
        self.tag = tag
        self.message = message
        self.crash_fingerprint = 0
        """The fingerprint of a message of which a worker died."""

    def claim(self) -> bool:
        """Return whether it is to be handled.

        It is not when its channel has ended, since the broker delivers it again, nor when a worker died of it.
        """
        session = self._session
        if session.has_copies:
            session.settle_copies(_COPIES_WITHIN if self.is_alone else _SOON)
        if not session.is_current:
            return False
        fingerprint = fingerprint_message(self.message.routing_key, self.message.body)
        if self._is_again and (reason := self._find_crash(fingerprint)):
            session.outcomes.append((self, Failure(reason, "")))
            return False
        self._fingerprint = fingerprint
        return True

    @property
    def is_alone(self) -> bool:
        """Return whether it is begun only when all before it is settled, as it may be what ends the worker.

        The broker would deliver again what has failed before it, and the copies of that would be there as well.
        """
        return self._is_again or self.message.attempts > 0

    @property
    def is_stale(self) -> bool:
        """Return whether the broker delivers the message again."""
        return not self._session.is_current

    def hold(self) -> None:
        """Note that the handler gets the message."""
        self._began = monotonic()
        self._session.in_flight.hold(self._fingerprint)
        self._session.prefetch.begin()

    def release(self) -> None:
        """Note that the handler did not get it: the broker delivers it again."""
        self._session.in_flight.release()

    def _find_crash(self, fingerprint: int) -> str:
        """Return why a message that comes again is not to be handled; nothing if it is."""
        session = self._session
        if reason := session.in_flight.take_crash(fingerprint):
            self.crash_fingerprint = fingerprint
            return reason
        count = (self.message.properties.headers or {}).get(DELIVERY_COUNT, 0)
        if isinstance(count, int) and count >= _MOST_DELIVERIES:
            return f"it was delivered {count} times before, and no worker told what became of it"
        return session.take_overdue(fingerprint)

    def resolve_crash(self) -> None:
        """Note that nothing more is to be done about the worker that died of it."""
        if self.crash_fingerprint:
            self._session.in_flight.resolve_crash(self.crash_fingerprint)

    def done(self, response: Response) -> None:
        """Have the message acknowledged."""
        self._settle(None)

    def failed(self, response: Response, failure: Failure) -> None:
        """Have the message tried again, or kept as a dead letter."""
        self._settle(failure)

    def leave_handler(self) -> None:
        """Note that the handler is done with it, and may take the next, though its outcome is told only later."""
        self._left = monotonic()
        self._end()

    def _settle(self, failure: Failure | None) -> None:
        session = self._session
        if self._left:
            session.prefetch.note_settling(monotonic() - self._left)
        else:
            self._end()
        session.outcomes.append((self, failure))

    def _end(self) -> None:
        session = self._session
        session.in_flight.release()
        session.prefetch.end(len(self.message.body))
        session.note_late(self.message, monotonic() - self._began)
