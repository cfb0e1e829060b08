"""The topic `history`: the latest deploys, and what became of containers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stack.run.deployment import Deployment, load_deployments, load_revisions
from stack.run.live.events import Event, EventStream
from stack.run.workspace import Workspace

_SHOWN = 50
_PAUSE = 60.0
# The exit status of a process that was told to end, by SIGKILL or SIGTERM.
_TOLD_TO_END = ("0", "137", "143")


class HistorySource:
    """Deploys of the kept revisions, and Docker's events."""

    pause = _PAUSE

    def __init__(self, workspace: Workspace, stream: EventStream) -> None:
        self._workspace = workspace
        self._stream = stream

    async def look(self) -> list[dict[str, Any]]:
        """Return the latest of both, the newest first."""
        deployments = await asyncio.to_thread(_load, self._workspace)
        entries = [*map(describe_deployment, deployments), *describe_events(self._stream.events)]
        return sorted(entries, key=lambda one: -one["time"])[:_SHOWN]

    async def rest(self) -> None:
        """Do nothing: nothing is open."""


def _load(workspace: Workspace) -> Sequence[Deployment]:
    return [one for name in load_deployments(workspace) for one in load_revisions(workspace, name)]


def describe_deployment(deployment: Deployment) -> dict[str, Any]:
    """Return what the pages are told of a deploy."""
    message = f": {deployment.message}" if deployment.message else ""
    return {
        "time": deployment.time.timestamp(),
        "kind": "deploy",
        "subject": deployment.name,
        "text": f"revision {deployment.revision} by {deployment.author}{message}",
        "level": "info",
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
        for text, level in [_tell(event)]
        if text
    ]


def _tell(event: Event) -> tuple[str, str]:
    """Return the words for an event, and how grave it is."""
    words: dict[str, Callable[[Event], tuple[str, str]]] = {
        "start": lambda _: ("started", "info"),
        "die": _tell_end,
        "oom": lambda _: ("ran out of memory", "error"),
        "destroy": lambda _: ("removed", "info"),
        "health_status": lambda one: (one.detail, "error" if one.detail == "unhealthy" else "info"),
    }
    return words[event.action](event) if event.action in words else ("", "")


def _tell_end(event: Event) -> tuple[str, str]:
    if event.detail in _TOLD_TO_END:
        return "ended", "info"
    return f"ended with status {event.detail}", "error"
