"""What a process tells the supervisor about itself: one JSON document a line, over a pipe."""

import json
import os
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

# A pipe takes a line of up to this many bytes (PIPE_BUF) in one piece.
_LINE_LIMIT = 4096


class State(StrEnum):
    """How a process is."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It was set up, but its source is not connected."""
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
