"""The topics `deploy:NAME`: the log of a function's last deploy, as it is written."""

import asyncio
from collections import deque
from dataclasses import asdict
from typing import Any

from stack.run.deploy.log import Cursor, read_on
from stack.run.live.topic import Tail
from stack.run.workspace import Workspace

_KEPT = 2000
_PAUSE = 1.0


class DeploySource:
    """The entries of one function's deploy log; an entry with the event `begin` begins a new deploy."""

    pause = _PAUSE

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self._name = name
        self._cursor = Cursor()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0

    async def look(self) -> Tail:
        """Return the last entries."""
        entries, self._cursor = await asyncio.to_thread(read_on, self._workspace, self._name, self._cursor)
        self._entries.extend(map(asdict, entries))
        self._count += len(entries)
        return Tail(self._count, tuple(self._entries))

    async def rest(self) -> None:
        """Forget what was read."""
        self._cursor = Cursor()
        self._entries.clear()
