"""When the event that a worker handles began, in memory that its supervisor reads.

A handler that is stuck, be it in C code that lets no other thread run, cannot be relied on to look at the time
itself; the supervisor can, without asking it.
"""

import mmap
from time import monotonic


class EventTimer:
    """Runs while an event is being handled; times are seconds of the monotonic clock, which all processes share."""

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
