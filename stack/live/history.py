"""The topic `history`: the latest deploys, and what became of containers."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stack.live.docker import Event, EventStream
from stack.state.deploy_log import Attempt, Result, find_log, list_logs, load_attempts
from stack.state.workspace import Workspace

_SHOWN = 50
_PAUSE = 3.0
# The exit statuses of a process that was told to end, by SIGKILL or SIGTERM.
_TOLD_TO_END = ("0", "137", "143")
# Words for what became of a deploy, and how grave that is.
_RESULTS = {
    Result.RUNNING: ("is being deployed", "info"),
    Result.READY: ("deployed as revision {revision}", "info"),
    Result.ERROR: ("could not be deployed", "error"),
    Result.INTERRUPTED: ("had its deploy interrupted", "warn"),
}


class HistorySource:
    """Deploys, no matter by whom, as their logs tell, and Docker's events."""

    pause = _PAUSE

    def __init__(self, workspace: Workspace, stream: EventStream) -> None:
        self._workspace = workspace
        self._stream = stream
        self._stamps: dict[str, int] = {}
        self._deploys: dict[str, Sequence[dict[str, Any]]] = {}

    async def look(self) -> list[dict[str, Any]]:
        """Return the latest of both, the newest first."""
        await asyncio.to_thread(self._read)
        deploys = [entry for entries in self._deploys.values() for entry in entries]
        entries = [*deploys, *describe_events(self._stream.events)]
        return sorted(entries, key=lambda one: -one["time"])[:_SHOWN]

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _read(self) -> None:
        """Read the logs that have changed."""
        logs = list_logs(self._workspace)
        stamps = {name: _stamp(path) for name, path in logs.items()}
        new = [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp]
        kept = {name: entries for name, entries in self._deploys.items() if name in logs}
        fresh = {name: [describe_attempt(name, one) for one in load_attempts(self._workspace, name)] for name in new}
        self._deploys = kept | fresh
        self._stamps = stamps


def describe_attempt(name: str, attempt: Attempt) -> dict[str, Any]:
    """Return what the pages are told of a deploy."""
    begin, end = attempt.begin, attempt.end
    words, level = _RESULTS[attempt.result]
    reason = f": {begin.reason}" if begin.reason else ""
    return {
        "time": (end or begin).time / 1000,
        "kind": "deploy",
        "subject": name,
        "text": words.format(revision=end.revision if end else 0) + f" by {begin.author}{reason}",
        "level": level,
    }


def describe_events(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return what the pages are told of Docker's events; those that say nothing new are left out."""
    return [
        {
            "time": event.time,
            "kind": "container",
            "subject": event.function or event.service,
            "text": text,
            "level": level,
        }
        for event in events
        for text, level in [describe_event(event)]
        if text
    ]


def describe_event(event: Event) -> tuple[str, str]:
    """Return the words for an event, and how grave it is; no words for one that another tells better."""
    if event.action == "die":
        is_calm = event.detail in _TOLD_TO_END
        return ("ended", "info") if is_calm else (f"ended with status {event.detail}", "error")
    if event.action == "health_status":
        return event.detail, "error" if event.detail == "unhealthy" else "info"
    words = {"start": ("started", "info"), "oom": ("ran out of memory", "error"), "destroy": ("removed", "info")}
    return words.get(event.action, ("", ""))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


# The most lines of a deploy that are told; the tab of revisions has all.
_LINES = 1000
_PAUSE_DEPLOYING = 1.0


class DeploySource:
    """The last deploy of one function: when it began, how far it is, and the lines of its log."""

    pause = _PAUSE_DEPLOYING

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self._name = name
        self._stamp = 0
        self._attempt: Attempt | None = None

    async def look(self) -> dict[str, Any] | None:
        """Return the last deploy; None if none is remembered."""
        await asyncio.to_thread(self._read)
        return describe_deploy(self._attempt) if self._attempt else None

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _read(self) -> None:
        """Read the log if it has changed, or may have been left without an end."""
        stamp = _stamp(find_log(self._workspace, self._name))
        if stamp != self._stamp or (self._attempt and not self._attempt.end):
            attempts = load_attempts(self._workspace, self._name)
            self._attempt = attempts[-1] if attempts else None
            self._stamp = stamp


def describe_deploy(attempt: Attempt) -> dict[str, Any]:
    """Return what the pages are told of a deploy with its log; times are seconds since 1970."""
    begin, end = attempt.begin, attempt.end
    return {
        "begun": begin.time / 1000,
        "seconds": (end.time - begin.time) / 1000 if end else None,
        "result": attempt.result,
        "revision": end.revision if end else 0,
        "left_out": max(len(attempt.entries) - _LINES, 0),
        "lines": [
            {"time": one.time / 1000, "level": one.level, "text": one.message} for one in attempt.entries[-_LINES:]
        ],
    }
