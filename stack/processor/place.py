"""The supervisor's book of one post: who fills it, how it is, and when it is filled again."""

from stack.processor.post import Post
from stack.processor.process import Process
from stack.processor.status import State, Status

# Seconds before a process that ended is replaced: doubled each time, and forgotten after it was well for a while.
_FIRST_DELAY, _LAST_DELAY = 0.1, 10.0
_WELL_AFTER = 10.0
# Seconds that a source which was connected may be without its broker before its post counts as not ready: a broker's
# restart passes unseen, and one that is gone shows.
_PATIENCE = 30.0


class Place:
    """One post and the process that fills it; times are seconds of the monotonic clock."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.process: Process | None = None
        self.start_at = 0.0
        self.was_ready = False
        self._status = Status(State.STARTING, "")
        self._since = 0.0
        self._delay = _FIRST_DELAY

    def fill(self, process: Process, now: float) -> None:
        """Note that a process was started."""
        self.process = process
        self._note(Status(State.STARTING, ""), now)

    def note(self, status: Status, now: float) -> None:
        """Note what the process said of itself."""
        if status.state is State.READY:
            self.was_ready = True
        self._note(status, now)

    def vacate(self, reason: str, now: float) -> float:
        """Note that the process ended; return the seconds until another is to be started."""
        if self._status.state is State.READY and now - self._since > _WELL_AFTER:
            self._delay = _FIRST_DELAY
        if self._status.state not in (State.FAILED, State.BROKEN):
            self._note(Status(State.FAILED, reason), now)
        if self.process:
            self.process.release()
            self.process = None
        delay, self._delay = self._delay, min(_LAST_DELAY, self._delay * 2)
        self.start_at = now + delay
        return delay

    def find_trouble(self, now: float) -> str:
        """Return why events cannot be handled here; nothing when they can."""
        state, reason = self._status
        if state is State.READY:
            return ""
        if state is State.WAITING and self.was_ready and now - self._since < _PATIENCE:
            return ""
        return f"{self.post.title}: {reason or 'starting'}"

    def _note(self, status: Status, now: float) -> None:
        if status.state is not self._status.state:
            self._since = now
        self._status = status
