"""Between a source and a worker: deliveries, the queue that they wait in, and what a source is told of them.

Sources know nothing of handlers, and the handler's side knows nothing of brokers or sockets. A worker takes deliveries
on its main thread, in the order in which they came; the source runs on an event loop, which that thread runs too while
it has nothing to handle, and an I/O thread as soon as a handler takes its time.
"""

import asyncio
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from stack.processor.response import Response
from stack.processor.stats import Count
from stack.processor.status import State


@dataclass(frozen=True)
class Failure:
    """Why an event failed: the error in one line, and where it was raised."""

    error: str
    origin: str
    is_final: bool = False
    """Whether it would fail again however often it were tried."""


class Delivery(Protocol):
    """One message on its way through a worker; all methods are for the worker's main thread.

    One that has a method `leave_handler` may be told its outcome when later ones are begun already, in the order in
    which they were claimed; the method says that the handler may take the next. One that has a method
    `release` is told by it that the handler did not get the message after all. One that has a property `is_stale` says
    by it that its broker delivers the message again, so that it is not to be begun though it was claimed.
    """

    message: Any

    def claim(self) -> bool:
        """Return whether the message is still to be handled; from then on it is the worker's."""

    def hold(self) -> None:
        """Note that the handler gets the message, and would be what ended the worker."""

    def done(self, response: Response) -> None:
        """Say that the message is handled."""

    def failed(self, response: Response, failure: Failure) -> None:
        """Say that the message could not be handled; the response is for who waits for one."""


class Lost:
    """What a source puts among deliveries when its connection has ended: some that were claimed may be stale."""

    message = None

    def claim(self) -> bool:
        """Return that there is nothing to handle."""
        return False

    def hold(self) -> None:
        """Do nothing."""

    def done(self, response: Response) -> None:
        """Do nothing."""

    def failed(self, response: Response, failure: Failure) -> None:
        """Do nothing."""


class Last(Lost):
    """What a source puts among deliveries where no more will come that would fill a batch."""


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


class DeliveryQueue:
    """A queue for a main thread that waits by blocking.

    SimpleQueue is written in C: putting does not switch threads, so that all that one read of a socket brought is
    queued before the handler's thread wakes.
    """

    # Its worker has made it.
    is_served = True

    def __init__(self) -> None:
        self._queue: SimpleQueue[Delivery | None] = SimpleQueue()
        self.put = self._queue.put
        self.get = self._queue.get
        self.is_empty = self._queue.empty
        self.size = self._queue.qsize

    def get_left(self) -> list[Delivery | None]:
        """Take all that there is, and wait for nothing."""
        return [self._queue.get() for _ in range(self._queue.qsize())]

    def take(self, timeout: float) -> Delivery | None:
        """Take the next delivery; None after the last, and again whenever asked.

        Raises:
            queue.Empty: none came within that many seconds.
        """
        delivery = self._queue.get(timeout=timeout)
        if delivery is None:
            self.close()
        return delivery

    def close(self) -> None:
        """Let the one who takes get None after all else."""
        self._queue.put(None)


class AsyncDeliveryQueue:
    """A queue for a main thread that waits in an event loop, where the user's tasks go on meanwhile."""

    is_served = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[Delivery | None] = SimpleQueue()
        self._waiter: asyncio.Future[None] | None = None
        self.is_empty = self._queue.empty
        self.size = self._queue.qsize

    def put(self, delivery: Delivery | None) -> None:
        """Hand over one delivery; wake the loop only if it waits."""
        self._queue.put(delivery)
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._loop.call_soon_threadsafe(_wake, waiter)

    def close(self) -> None:
        """Let the one who takes get None after all else."""
        self.put(None)

    async def take(self, timeout: float) -> Delivery | None:
        """Take the next delivery; None after the last, and again whenever asked.

        Raises:
            queue.Empty: none came within that many seconds.
        """
        try:
            delivery = await asyncio.wait_for(self.get(), timeout)
        except TimeoutError:
            raise Empty from None
        if delivery is None:
            self.close()
        return delivery

    async def get(self) -> Delivery | None:
        """Take the next delivery; None after the last."""
        while True:
            try:
                return self._queue.get_nowait()
            except Empty:
                self._waiter = waiter = self._loop.create_future()
                # What came between the two lines above has seen no waiter.
                if self._queue.empty():
                    await waiter


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
