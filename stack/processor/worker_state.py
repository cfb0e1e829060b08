"""The supervisor's record of one worker: its process, how it is, and when it is started again."""

from collections.abc import Iterable, Iterator

from stack.processor.process import Process
from stack.processor.status import State, Status
from stack.processor.worker_spec import WorkerSpec

# Seconds before a process that ended is replaced: doubled each time, and forgotten after it was well for a while.
_FIRST_DELAY, _LAST_DELAY = 0.1, 10.0
_WELL_AFTER = 10.0
# Seconds that a source which was connected may be without its broker before its worker counts as not ready: a broker's
# restart passes unseen, and one that is gone shows.
_PATIENCE = 30.0


class WorkerState:
    """One worker and the process that it is at the time; times are seconds of the monotonic clock."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.process: Process | None = None
        self.start_at = 0.0
        self.was_ready = False
        self.kill_reason = ""
        """Why the process was killed, to be said of the messages that it had in flight."""
        self.notice = ""
        """What the process cannot see to, though it goes on."""
        self.leaves_by: float | None = None
        """When a process that was told to make place for another is to be gone."""
        self.exits_by: float | None = None
        """When a process that has closed its end of the pipe is to be gone."""
        self._status = Status(State.STARTING, "")
        self._since = 0.0
        self._delay = _FIRST_DELAY
        self._failing_since: float | None = None

    def on_start(self, process: Process, now: float) -> None:
        """Note that a process was started."""
        self.process = process
        self.kill_reason = self.notice = ""
        self.exits_by = None
        # Until it has said how it is, what the last one failed of is still why no event is handled.
        reason = "" if self._failing_since is None else self._status.reason
        self._note(Status(State.STARTING, reason), now)

    def note(self, status: Status, now: float) -> None:
        """Note what the process said of itself."""
        if status.state is State.NOTED:
            self.notice = status.reason
            return
        if status.state is State.STARTING and self._failing_since is not None:
            # What the last process failed of says more.
            return
        if status.state is State.READY:
            self.was_ready = True
        if status.state in (State.READY, State.WAITING):
            self._failing_since = None
        elif status.state is State.REFUSED and self._failing_since is None:
            self._failing_since = now
        self._note(status, now)

    def on_exit(self, reason: str, now: float, *, is_attributed: bool = False) -> float:
        """Note that the process ended; return the seconds until another is to be started.

        Where a message `is_blamed` the delay does not grow: that message waits before it comes again, and the others
        need not.
        """
        if is_attributed or (self._status.state is State.READY and now - self._since > _WELL_AFTER):
            self._delay = _FIRST_DELAY
        if self._status.state not in (State.FAILED, State.BROKEN):
            self._note(Status(State.FAILED, reason), now)
        if self._failing_since is None:
            self._failing_since = now
        if self.process:
            self.process.release()
            self.process = None
        delay, self._delay = self._delay, min(_LAST_DELAY, self._delay * 2)
        self.start_at = now + delay
        return delay

    def renew(self, leaves_by: float) -> None:
        """Have the process make place for another, which starts at once; one that is not there starts at once, too."""
        self._delay = _FIRST_DELAY
        self.start_at = 0.0
        if self.process:
            self.leaves_by = leaves_by
            self.process.stop()

    def kill(self, reason: str = "") -> None:
        """End the process at once, if there is one; the reason is said of the messages that it has in flight."""
        if self.process:
            self.kill_reason = self.kill_reason or reason
            self.process.kill()

    def find_ends(self) -> Iterator[float]:
        """Yield when the process is to be gone."""
        if self.process:
            yield from (due for due in (self.leaves_by, self.exits_by) if due is not None)

    def renewed(self) -> bool:
        """Return whether the process that ended was told to make place, and let another start now."""
        was_told, self.leaves_by = self.leaves_by is not None, None
        if was_told:
            self._delay = _FIRST_DELAY
            self.start_at = 0.0
        return was_told

    @property
    def is_broken(self) -> bool:
        """Return whether the last process ended for a reason that no other start changes."""
        return self._status.state is State.BROKEN

    @property
    def is_starting(self) -> bool:
        """Return whether the process has said nothing of itself yet, and the one before it did not fail."""
        return self._status.state is State.STARTING and not self._status.reason

    def park(self) -> None:
        """Start no process until the place is renewed."""
        self.start_at = float("inf")

    def find_trouble(self, now: float) -> str:
        """Return why events cannot be handled here; nothing when they can."""
        state, reason = self._status
        if state is State.READY:
            return ""
        if state in (State.WAITING, State.REFUSED) and self.was_ready and now - self._since < _PATIENCE:
            return ""
        return f"{self.spec.title}: {reason or 'starting'}"

    def failing_seconds(self, now: float) -> float:
        """Return how long the worker has not come up at all; 0 if it ever was ready, or its source merely waits."""
        return 0.0 if self.was_ready or self._failing_since is None else now - self._failing_since

    def _note(self, status: Status, now: float) -> None:
        if status.state is not self._status.state:
            self._since = now
        self._status = status


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
