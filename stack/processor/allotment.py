"""How events get one of several workers, for the figures."""

import threading
from collections import deque
from time import monotonic
from typing import NamedTuple

from stack.processor.delivery import Delivery
from stack.processor.inbox import DeliveryQueue
from stack.processor.meter import WorkerStats


class Allocation(NamedTuple):
    """A delivery for which a worker is free, and how long it waited for it."""

    delivery: Delivery
    seconds: float
    waited: bool


class WorkerAllocator:
    """The queue of a dispatcher, where one thread for each worker takes; it counts who waited, and how long."""

    def __init__(self, stats: WorkerStats) -> None:
        self._stats = stats
        self._queue = DeliveryQueue()
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self._busy = 0
        self.is_served = False
        """Whether there was a worker yet to take."""

    def put(self, delivery: Delivery) -> None:
        """Hand over one delivery."""
        self._times.append(monotonic())
        self._queue.put(delivery)

    def close(self) -> None:
        """Let each thread get None after all else."""
        self._queue.close()

    def take(self, timeout: float | None = None) -> Allocation | None:
        """Take the next delivery; None after the last, which is then for the next thread to take.

        Raises:
            queue.Empty: none came within that many seconds.
        """
        waited = not self._queue.is_empty()
        delivery = self._queue.get(timeout=timeout)
        if delivery is None:
            self._queue.close()
            return None
        # Of two that are taken at once the times may be mixed up; their sum is right.
        return Allocation(delivery, monotonic() - self._times.popleft(), waited)

    def begin(self, allocation: Allocation, workers: int) -> None:
        """Note that one of several workers gets what was taken."""
        with self._lock:
            free = max(0.0, 1.0 - self._busy / max(1, workers))
            self._busy += 1
            self._stats.count_allocation(allocation.seconds, waited=allocation.waited, free=free)

    def end(self) -> None:
        """Note that a worker is done."""
        with self._lock:
            self._busy -= 1
