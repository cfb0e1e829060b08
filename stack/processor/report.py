"""What a source tells of itself, on its way to the supervisor."""

from collections.abc import Callable

from stack.processor.meter import Count, WorkerStats
from stack.processor.status import State


class SourceReport:
    """Passes a source's state on, and counts what it counts, and how often its connection came back."""

    def __init__(self, send: Callable[[State, str], None], stats: WorkerStats) -> None:
        self._send = send
        self.count = stats.add
        self._was_ready = False
        self._is_lost = False

    def note(self, reason: str) -> None:
        """Say what the source cannot see to, though it goes on; nothing once it can."""
        self._send(State.NOTED, reason)

    def __call__(self, state: State, reason: str) -> None:
        """Say that the source came to be, or ceased to be, able to hand over, and why."""
        if state is State.WAITING:
            self._is_lost = self._was_ready
        elif state is State.READY:
            if self._is_lost:
                self.count(Count.RECONNECTED)
            self._was_ready, self._is_lost = True, False
        self._send(state, reason)
