"""The watch over eventTimeout: finds who has taken too long, waking as seldom as can be."""

from collections.abc import Iterable

from stack.processor.place import WorkerState

# Seconds for a source to answer those who wait for a handler that is late: it looks twice a second.
_ANSWERING = 1.0


class TimeoutMonitor:
    """Looks at the clocks of workers; a limit of zero means that an event may take any time.

    An event that begins after a look cannot be late before a whole limit has passed. So, where no one is busy, the
    next look is due only then; otherwise when the first of those who are busy would be late. No event is missed, and
    each is found late to within the time that the supervisor takes to wake.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.due = float("inf") if not limit else 0.0
        """When the next look is due, in seconds of the monotonic clock."""

    @property
    def kill_reason(self) -> str:
        """Why an event that was late failed."""
        return f"the handler timed out: it took longer than {self._limit:g} s"

    def find_late(self, workers: Iterable[WorkerState], now: float) -> list[WorkerState]:
        """Return the places whose worker is late, and set when to look again."""
        if now < self.due:
            return []
        late: list[WorkerState] = []
        self.due = now + self._limit
        for worker in workers:
            began = worker.spec.timer.read()
            if not began or not worker.process or worker.kill_reason:
                continue
            ends = began + self._limit + (_ANSWERING if worker.spec.answers_late else 0.0)
            if now >= ends:
                late.append(worker)
            else:
                self.due = min(self.due, ends)
        return late
