"""What is said to clients whose handler, or the one before them in it, takes too long."""

from time import monotonic

from stack.processor.response import Response, refuse
from stack.processor.stats import EventTimer


class BusyTimer:
    """How long the handler of this process has been at its event; a process without a handler is never at one."""

    def __init__(self, timer: EventTimer, limit: float) -> None:
        self._timer = timer
        self._limit = limit

    @property
    def is_late(self) -> bool:
        """Return whether the handler has had more time than it may take."""
        return bool(self._limit) and self._measure() >= self._limit

    def refuse(self, patience: float) -> Response:
        """Return the answer to a client that has waited for a worker for so many seconds."""
        seconds = self._measure()
        at_work = f": it has been at one event for {seconds:.0f} s" if seconds else ""
        ends = f", and is ended after {self._limit:g} s (eventTimeout)" if seconds and self._limit else ""
        return refuse(503, f"no worker of this function was free within {patience:g} s{at_work}{ends}")

    def _measure(self) -> float:
        began = self._timer.read()
        return monotonic() - began if began else 0.0
