"""Deploy logs: what became of each deploy, line by line, no matter who began it.

.stack/state/deploys/NAME.jsonl holds the last deploy of a function as a whole, and of those before it how they began
and ended. Who writes it holds the lock of the function, so that a log without an end whose lock is free is that of
a deploy that was killed.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from stack.state.deployment import find_deployment, load_author, load_deployment
from stack.state.lock import try_lock
from stack.state.workspace import Workspace, make_folder, parse_json, write_file

# How the reason of a rollback begins.
ROLLBACK = "rollback to "
INFO, ERROR = "info", "error"
# Lines of the build beyond so many characters are left out; steps and errors never are.
_MOST_CHARACTERS = 1_000_000
_OLDER_DEPLOYS = 20
_LONGEST_LINE = 4000
_LEFT_OUT = "… and more, which is left out."
_OVERTAKEN = "The deploy was interrupted at its very end; what is new runs."
_INTERRUPTED = "The deploy was interrupted; what ran before runs on. Deploy again."


class Event(StrEnum):
    """What a line marks, if it is more than a line."""

    LINE = ""
    BEGIN = "begin"
    END = "end"


class Result(StrEnum):
    """How far a deploy is."""

    RUNNING = "running"
    READY = "ready"
    ERROR = "error"
    INTERRUPTED = "interrupted"


_RESULTS = frozenset({"", *Result})


@dataclass(frozen=True)
class Entry:
    """One line of a log; `time` is milliseconds since 1970, `level` and `name` are those of Nuclio's logger.

    A beginning has an author and a reason, an end a result, and a revision if that is ready.
    """

    time: float
    level: str
    name: str
    message: str
    event: str = Event.LINE
    author: str = ""
    reason: str = ""
    result: str = ""
    revision: int = 0

    def write(self) -> bytes:
        """Return the entry as one line of JSON, without what says nothing."""
        always = ("time", "level", "name", "message")
        content = {key: value for key, value in asdict(self).items() if value or key in always}
        return json.dumps(content, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Attempt:
    """One deploy; of an older one only the first and the last entry are kept."""

    entries: tuple[Entry, ...]

    @property
    def begin(self) -> Entry:
        """Return who began it, when and why."""
        return self.entries[0]

    @cached_property
    def end(self) -> Entry | None:
        """Return how it ended, if it has."""
        return next((one for one in reversed(self.entries) if one.event == Event.END), None)

    @property
    def result(self) -> Result:
        """Return how far it is."""
        return Result(self.end.result) if self.end else Result.RUNNING


@dataclass
class DeployLog:
    """The log of one function's deploy, which is written to. Who has it holds the lock of the function."""

    workspace: Workspace
    name: str
    _room: int = _MOST_CHARACTERS
    _has_ended: bool = False

    def begin(self, reason: str) -> None:
        """Begin the log of a new deploy."""
        why = f": {reason}" if reason else ""
        first = _entry(f"Deploying {self.name}{why}", event=Event.BEGIN, author=load_author(), reason=reason)
        kept = _read_attempts(self.workspace, self.name)[-_OLDER_DEPLOYS:]
        older = [entry for attempt in kept for entry in _shorten(attempt)]
        make_folder(find_log(self.workspace, self.name).parent)
        write_file(find_log(self.workspace, self.name), b"".join(one.write() for one in (*older, first)))

    def step(self, message: str) -> None:
        """Say what is done now."""
        self._append(_entry(message))

    def line(self, text: str) -> None:
        """Keep a line that a build printed, if it says something."""
        if text.strip() and self._room >= 0:
            kept = text[:_LONGEST_LINE]
            self._room -= len(kept)
            self._append(_entry(kept if self._room >= 0 else _LEFT_OUT, name="build"))

    def end(self, result: Result, message: str) -> None:
        """Say how it ended, if that was not said."""
        if self._has_ended:
            return
        self._has_ended = True
        is_ready = result is Result.READY
        revision = find_deployment(self.workspace, self.name).revision if is_ready else 0
        level = INFO if is_ready else ERROR
        self._append(_entry(message, level=level, event=Event.END, result=result, revision=revision))

    def _append(self, entry: Entry) -> None:
        with find_log(self.workspace, self.name).open("ab+") as file:
            if file.tell() and not _ends_line(file):
                file.write(b"\n")
            file.write(entry.write())
            if entry.event == Event.END:
                file.flush()
                os.fsync(file.fileno())


def load_attempts(workspace: Workspace, name: str) -> tuple[Attempt, ...]:
    """Return the deploys of a function that are remembered, the last one at the end; one that was killed has ended."""
    attempts = _read_attempts(workspace, name)
    if attempts and not attempts[-1].end and _close(workspace, name):
        return _read_attempts(workspace, name)
    return attempts


def find_attempt(workspace: Workspace, name: str) -> Attempt | None:
    """Return the last deploy of a function, if one is remembered."""
    attempts = load_attempts(workspace, name)
    return attempts[-1] if attempts else None


def note_failure(workspace: Workspace, name: str, why: str, *, since: float) -> None:
    """Keep why a deploy failed that was to begin at a time, and ended before it had a log."""
    attempt = find_attempt(workspace, name)
    if attempt and attempt.begin.time >= since and attempt.end:
        return
    with try_lock(workspace, f"function-{name}") as is_free:
        if is_free:
            log = DeployLog(workspace, name)
            log.begin("")
            log.end(Result.ERROR, why)


def forget_log(workspace: Workspace, name: str) -> None:
    """Forget every deploy of a function."""
    find_log(workspace, name).unlink(missing_ok=True)


def list_logs(workspace: Workspace) -> dict[str, Path]:
    """Return the files of all logs, by the name of the function."""
    return {path.stem: path for path in sorted(find_log(workspace, "").parent.glob("*.jsonl"))}


def _ends_line(file: BinaryIO) -> bool:
    """Return whether a file's last line is whole: a power cut may have left a half one."""
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _close(workspace: Workspace, name: str) -> bool:
    """End a log that no one writes any more; say whether its deploy has ended, in whatever way."""
    with try_lock(workspace, f"function-{name}") as is_free:
        if is_free and (attempts := _read_attempts(workspace, name)) and not attempts[-1].end:
            began = attempts[-1].begin.time
            deployment = load_deployment(workspace, name)
            if deployment and deployment.time.timestamp() * 1000 >= began:
                DeployLog(workspace, name).end(Result.READY, _OVERTAKEN)
            else:
                DeployLog(workspace, name).end(Result.INTERRUPTED, _INTERRUPTED)
        return is_free


def _read_attempts(workspace: Workspace, name: str) -> tuple[Attempt, ...]:
    try:
        content = find_log(workspace, name).read_bytes()
    except FileNotFoundError:
        return ()
    return _split(_parse(content.splitlines()))


def _split(entries: Iterable[Entry]) -> tuple[Attempt, ...]:
    attempts: list[list[Entry]] = []
    for entry in entries:
        if entry.event == Event.BEGIN:
            attempts.append([])
        if attempts:
            attempts[-1].append(entry)
    return tuple(Attempt(tuple(one)) for one in attempts)


def _parse(lines: Iterable[bytes]) -> Iterator[Entry]:
    for line in lines:
        try:
            entry = parse_json(Entry, line)
        except ValueError:
            # Cut off where the power was.
            continue
        if entry.result in _RESULTS:
            yield entry


def _shorten(attempt: Attempt) -> tuple[Entry, ...]:
    interrupted = _entry(_INTERRUPTED, level=ERROR, event=Event.END, result=Result.INTERRUPTED)
    return (attempt.begin, attempt.end or interrupted)


def _entry(message: str, *, level: str = INFO, name: str = "deploy", **more: Any) -> Entry:
    return Entry(round(time.time() * 1000, 3), level, name, message, **more)


def find_log(workspace: Workspace, name: str) -> Path:
    """Return the file of a function's log, which may not be there."""
    return workspace.state / "deploys" / f"{name}.jsonl"
