"""What a process tells the supervisor about itself: one JSON document a line, over a pipe."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

from stack.processor.stats import Count, WorkerStats

# A pipe takes a line of up to this many bytes (PIPE_BUF) in one piece.
_LINE_LIMIT = 4096


class State(StrEnum):
    """How a process is."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It was set up, but its source is not connected."""
    REFUSED = "refused"
    """It was set up, but its broker refuses what the trigger asks for, as it will until somebody changes something."""
    NOTED = "noted"
    """It goes on as it was, and the reason says what it cannot see to; none says that it can again."""
    FAILED = "failed"
    """It ends, and another start may help."""
    BROKEN = "broken"
    """It ends, and no start will help: the handler cannot be loaded."""


class Status(NamedTuple):
    """A state and, unless all is well, the reason."""

    state: State
    reason: str


class StatusWriter:
    """The process's end of the pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, state: State, reason: str = "") -> None:
        """Tell the supervisor; a reason that is too long loses its beginning, since a traceback ends with the error."""
        text = reason
        while len(line := json.dumps([state, text]).encode() + b"\n") > _LINE_LIMIT:
            text = "…" + text[len(text) // 8 + 2 :]
        # A supervisor that is gone reads nothing; the lifeline says so to those who must act on it.
        with suppress(BrokenPipeError):
            os.write(self._descriptor, line)


class StatusReader:
    """The supervisor's end of the pipe; never waits."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._unread = b""
        os.set_blocking(descriptor, False)

    def read(self) -> list[Status] | None:
        """Return what was told since the last time; None when the process has ended."""
        try:
            data = os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return []
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [Status(State(state), reason) for state, reason in map(json.loads, lines)]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.descriptor)


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
        if state in (State.WAITING, State.REFUSED):
            self._is_lost = self._was_ready
        elif state is State.READY:
            if self._is_lost:
                self.count(Count.RECONNECTED)
            self._was_ready, self._is_lost = True, False
        self._send(state, reason)
