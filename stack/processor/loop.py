"""Event loops, and the threads that run them.

Two threads that hand each event to one another spend more time on waiting for Python's lock than on the event. So the
thread of the handler runs its source's loop itself while it has nothing to handle. Meanwhile no one runs it, unless a
look of the I/O thread finds the handler at the same event as at the look before, or at events without a pause for too
long: then that thread runs the loop until the handler's thread asks for it. A handler that takes an hour stops nothing.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from threading import get_ident
from typing import Protocol

from stack.processor.delivery import Delivery

# Seconds between two looks at the handler.
_LOOK = 0.01
# Looks at a handler that is never without an event, after which the loop has stood still for long enough.
_STANDSTILL = 10
# Looks that find nothing new after which no more are taken, until there is an event.
_PATIENCE = 100


class LoopRunner(Protocol):
    """What runs a source's loop; `run` and `stop` are for its I/O thread, the rest for the handler's."""

    loop: asyncio.AbstractEventLoop

    def run(self) -> None:
        """Return once the loop is stopped for good."""

    def stop(self) -> None:
        """Stop the loop for good; to be called from a callback of it."""

    def do_now(self, work: Callable[[], None], *, turn: bool = False) -> bool:
        """Do some work of the loop's at once, if no one runs it; return whether it was done.

        A `turn` of the loop after it sends what the work left to the loop, and reads what has arrived.
        """

    def release(self) -> None:
        """Say that the handler's thread will not run the loop any more."""


class ThreadRunner:
    """Runs a loop on the I/O thread, always."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        """Return once the loop is stopped."""
        self.loop.run_forever()

    def stop(self) -> None:
        """Stop the loop."""
        self.loop.stop()

    def do_now(self, work: Callable[[], None], *, turn: bool = False) -> bool:
        """Do nothing: the loop runs."""
        return False

    def release(self) -> None:
        """Do nothing."""


class LoopSharingQueue:
    """A queue of deliveries whose taker runs the loop that they come from."""

    # Its worker has made it.
    is_served = True

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # Itself among the deliveries is the lock, given back.
        self._queue: SimpleQueue[Delivery | LoopSharingQueue | None] = SimpleQueue()
        self.size = self._queue.qsize
        # Held by the thread that runs the loop or does its work, and by the I/O thread to begin with.
        self._loop_lock = threading.Lock()
        self._loop_lock.acquire()
        self._is_asked = False
        self._is_taker_running = False
        self._taker = get_ident()
        self._taken = self._runs = 0
        self._wakeup = threading.Event()
        self._is_watching = True
        self._is_released = False
        self._is_stopped = False

    # For the source.

    def put(self, delivery: Delivery | None) -> None:
        """Hand over one delivery, from any thread."""
        self._queue.put(delivery)
        if self._is_taker_running:
            if get_ident() == self._taker:
                self.loop.stop()
            else:
                self.loop.call_soon_threadsafe(self.loop.stop)

    def close(self) -> None:
        """Let the one who takes get None after all else."""
        self.put(None)

    def stop(self) -> None:
        """Stop the loop for good; to be called from a callback of it."""
        self._is_stopped = True
        self.loop.stop()

    # For the I/O thread.

    def run(self) -> None:
        """Run the loop whenever the handler's thread leaves it alone for too long; return once it is stopped."""
        self._run_meanwhile()
        taken, runs, looks = self._taken, self._runs, 0
        while not self._is_stopped:
            self._rest(None if looks > _PATIENCE and self._taken == taken else _LOOK)
            looks = looks + 1 if self._taken == taken or self._runs == runs else 0
            is_still = self._taken == taken or looks > _STANDSTILL
            taken, runs = self._taken, self._runs
            if self._is_released or (is_still and not self._is_taker_running):
                self._take_over()

    # For the handler's thread.

    def get(self) -> Delivery | None:
        """Take the next delivery; None after the last."""
        self._taken += 1
        while True:
            while self._queue.empty() and not self._is_asked:
                self._wait()
            delivery = self._queue.get()
            if not isinstance(delivery, LoopSharingQueue):
                break
            self._is_asked = False
        self._taken += 1
        if not self._is_watching:
            self._wakeup.set()
        return delivery

    def get_left(self) -> list[Delivery | None]:
        """Take all that there is, and wait for nothing."""
        items = [self._queue.get() for _ in range(self._queue.qsize())]
        self._is_asked = self._is_asked and self not in items
        return [item for item in items if not isinstance(item, LoopSharingQueue)]

    def is_empty(self) -> bool:
        """Return whether there may be nothing to take."""
        return self._is_asked or self._queue.empty()

    def do_now(self, work: Callable[[], None], *, turn: bool = False) -> bool:
        """Do some work of the loop's at once, if no one runs it; return whether it was done."""
        if not self._loop_lock.acquire(blocking=False):
            return False
        try:
            work()
            if turn:
                self._runs += 1
                self.loop.call_soon(self.loop.stop)
                self.loop.run_forever()
        finally:
            self._loop_lock.release()
        return True

    def release(self) -> None:
        """Leave the loop to the I/O thread."""
        self._is_released = True
        self._wakeup.set()

    # The rest.

    def _wait(self) -> None:
        """Run the loop until there is a delivery, or ask the I/O thread, which runs it, to give it back."""
        if self._loop_lock.acquire(blocking=False):
            self._runs += 1
            self._is_taker_running = True
            try:
                # Another thread that hands over from now on wakes the loop.
                if self._queue.empty():
                    self.loop.run_forever()
            finally:
                self._is_taker_running = False
                self._loop_lock.release()
        elif not self._is_asked:
            self._is_asked = True
            self.loop.call_soon_threadsafe(self.loop.stop)

    def _take_over(self) -> None:
        if self._loop_lock.acquire(blocking=False):
            self._run_meanwhile()

    def _run_meanwhile(self) -> None:
        """Run the loop, holding the lock, until the handler's thread asks for it."""
        try:
            self.loop.run_forever()
        finally:
            self._loop_lock.release()
        self._queue.put(self)

    def _rest(self, seconds: float | None) -> None:
        """Wait until the next look; without seconds until there is an event, of which none has come for long."""
        self._is_watching = seconds is not None
        self._wakeup.wait(seconds)
        self._wakeup.clear()
        self._is_watching = True


def find_runner(intake: object) -> LoopRunner:
    """Return what runs the loop of a source: its intake, where that can, or its I/O thread."""
    return intake if isinstance(intake, LoopSharingQueue) else ThreadRunner()
