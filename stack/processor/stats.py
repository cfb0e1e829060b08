"""The statistics of one worker: cells of memory that its processes write and the supervisor reads.

They outlive the process that wrote them, so that no counter goes back when a worker is replaced, and reading them
costs the worker nothing. Each cell has one writer: the worker's main thread, its I/O thread, or, once its process is
dead, the supervisor.
"""

import mmap
from bisect import bisect_left
from collections.abc import Callable
from enum import IntEnum
from time import monotonic, perf_counter

# Upper bounds of the histogram of durations, in seconds: Prometheus' usual ones, and two for handlers that do little.
BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Count(IntEnum):
    """What is counted; the cells of sums and of the histogram follow."""

    FAILED = 0
    """The handler raised, or answered with a status of 500 or more."""
    LOST = 1
    """The worker died with the event in flight."""
    IMMEDIATE = 2
    """A worker was free when the event came."""
    WAITED = 3
    REFUSED = 4
    """No worker was free in time."""
    RETRIED = 5
    DEAD_LETTERED = 6
    RECONNECTED = 7
    RESTARTED = 8
    """A process was replaced."""


# An enumeration's members are slower to get at than these.
_FAILED, _LOST, _IMMEDIATE, _WAITED = 0, 1, 2, 3
_IN_FLIGHT, _SECONDS, _WAIT_SECONDS, _FREE, _BUCKETS = 9, 10, 11, 12, 13


class WorkerStats:
    """The statistics of one worker; they begin at zero with the supervisor."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
        self._waiting = 0
        self._began = 0.0
        self._queue_size: Callable[[], int] = int

    # For the worker's process.

    def watch(self, queue_size: Callable[[], int]) -> None:
        """Name what tells how many events wait for this worker."""
        self._queue_size = queue_size

    def begin(self) -> None:
        """Note that the worker takes an event."""
        cells = self._cells
        cells[_IN_FLIGHT] += 1.0
        if self._waiting:
            cells[_WAITED] += 1.0
            self._waiting -= 1
        else:
            cells[_IMMEDIATE] += 1.0
            cells[_FREE] += 100.0
        self._began = perf_counter()

    def end(self, *, failed: bool) -> None:
        """Note what became of the event.

        The time that events wait for a worker is the number of those that wait, summed over time; it is known when an
        event begins and when it ends, and taken to change evenly between the two.
        """
        seconds = perf_counter() - self._began
        waiting = self._queue_size()
        cells = self._cells
        if failed:
            cells[_FAILED] += 1.0
        cells[_SECONDS] += seconds
        cells[_BUCKETS + bisect_left(BOUNDS, seconds)] += 1.0
        if waiting or self._waiting:
            cells[_WAIT_SECONDS] += seconds * (waiting + self._waiting) / 2
            self._waiting = waiting
        cells[_IN_FLIGHT] -= 1.0

    def release(self) -> None:
        """Note that the event has not begun after all."""
        self._cells[_IN_FLIGHT] -= 1.0

    def fail_late(self) -> None:
        """Note that an event whose end is noted has failed after all."""
        self._cells[_FAILED] += 1.0

    def add(self, what: Count) -> None:
        """Count one; each thread counts what no other does."""
        self._cells[what] += 1.0

    def count_allocation(self, wait_seconds: float, *, waited: bool, free: float) -> None:
        """Note that an event got one of several workers, `free` of which, from 0 to 1, had nothing to do."""
        cells = self._cells
        cells[_WAITED if waited else _IMMEDIATE] += 1.0
        cells[_FREE] += 100.0 * free
        cells[_WAIT_SECONDS] += wait_seconds

    # For the supervisor.

    def mark_dead(self) -> None:
        """Note that the process is dead; an event that it had in flight is lost to it."""
        self._cells[_LOST] += self._cells[_IN_FLIGHT]
        self._cells[_IN_FLIGHT] = 0.0
        self.add(Count.RESTARTED)

    def read(self, what: Count) -> float:
        """Return a count."""
        return self._cells[what]

    @property
    def in_flight(self) -> float:
        """The number of events that are being handled."""
        return self._cells[_IN_FLIGHT]

    @property
    def seconds(self) -> float:
        """The time that handlers took."""
        return self._cells[_SECONDS]

    @property
    def wait_seconds(self) -> float:
        """The time that events waited for a worker."""
        return self._cells[_WAIT_SECONDS]

    @property
    def free(self) -> float:
        """The per cent of workers that were free, summed over the events."""
        return self._cells[_FREE]

    @property
    def buckets(self) -> tuple[float, ...]:
        """The events by the time that they took: up to each bound, and beyond the last."""
        return tuple(self._cells[_BUCKETS : _BUCKETS + len(BOUNDS) + 1])


class EventTimer:
    """When the event that a worker handles began, in memory that its supervisor reads.

    A handler that is stuck, be it in C code that lets no other thread run, cannot be relied on to look at the time
    itself; the supervisor can, without asking it. Times are seconds of the monotonic clock, which all processes share.
    """

    def __init__(self) -> None:
        # One aligned double, which a 64-bit processor writes and reads whole.
        self._began = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")

    def start(self) -> None:
        """Note that an event begins."""
        self._began[0] = monotonic()

    def stop(self) -> None:
        """Note that no event is being handled."""
        self._began[0] = 0.0

    def read(self) -> float:
        """Return when the event began; zero if there is none."""
        return self._began[0]
