"""Between a source and a worker: what one hands to the other, and what it is told back.

Sources know nothing of handlers, and the handler's side knows nothing of brokers or sockets. A worker takes deliveries
on its main thread, in the order in which they came; the source runs on an event loop, which that thread runs too while
it has nothing to handle, and an I/O thread as soon as a handler takes its time.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from stack.processor.meter import Count
from stack.processor.response import Response
from stack.processor.status import State


@dataclass(frozen=True)
class Failure:
    """Why an event failed: the error in one line, and where it was raised."""

    error: str
    origin: str


class Delivery(Protocol):
    """One message on its way through a worker; all methods are for the worker's main thread."""

    message: Any

    def claim(self) -> bool:
        """Return whether the message is still to be handled; from then on it is the worker's."""

    def done(self, response: Response) -> None:
        """Say that the message is handled."""

    def failed(self, response: Response, failure: Failure) -> None:
        """Say that the message could not be handled; the response is for who waits for one."""


class Intake(Protocol):
    """Where a source puts what arrives; safe from any thread."""

    @property
    def is_served(self) -> bool:
        """Return whether there is a worker yet who takes what is put."""

    def put(self, delivery: Delivery) -> None:
        """Hand over one delivery."""

    def close(self) -> None:
        """Say that there will be no more."""


class Source(Protocol):
    """Where events come from; all methods are safe from any thread and return without waiting, except close."""

    def start(self) -> None:
        """Connect and begin to hand over, on an I/O thread."""

    def flush(self) -> None:
        """Send what was told of deliveries on its way; the worker calls it when it has nothing else to do."""

    def stop(self) -> None:
        """Take nothing more in; close the intake as soon as all that must still be handled is handed over."""

    def close(self, timeout: float) -> None:
        """Send the last outcomes, disconnect, and end the I/O thread, in at most that many seconds."""


class Report(Protocol):
    """What a source tells of itself."""

    def __call__(self, state: State, reason: str) -> None:
        """Say that the source came to be, or ceased to be, able to hand over, and why."""

    def count(self, what: Count) -> None:
        """Count something that became of an event, or of the source itself."""

    def note(self, reason: str) -> None:
        """Say what the source cannot see to, though it goes on; nothing once it can."""
