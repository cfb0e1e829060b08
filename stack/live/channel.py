"""A topic: one thing to watch, looked at while somebody does, and once for all who do."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from stack import console

# Seconds between two looks at least, and for how long a topic goes on when its last watcher has left: somebody who
# goes from page to page leaves and comes again.
_SHORTEST, _LINGER = 1.0, 5.0


class Source(Protocol):
    """What a topic's value is made of."""

    pause: float
    """Seconds between two looks while no one says that something changed."""

    async def look(self) -> Any:
        """Return the value of now: what JSON can tell, or a `LogTail`."""

    async def rest(self) -> None:
        """Close what was open: no one watches any more."""


@dataclass(frozen=True)
class LogTail:
    """The last entries of a log; `count` is how many there have been, so that no one is told one twice.

    Watchers are told {"whole", "skipped", "entries"}: first all that are kept, then those that are new; so many of them
    were skipped.
    """

    count: int
    entries: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Update:
    """A topic's value and its JSON; numbers go up with each change. The same for all, so that it is written once."""

    topic: str
    number: int
    value: Any
    text: str


class Channel:
    """Looks at a source again and again, and wakes each watcher when the value is another."""

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self._source = source
        self._wakeups: set[asyncio.Event] = set()
        self._woken = asyncio.Event()
        self._until = 0.0
        self._task: asyncio.Task[None] | None = None
        self._update: Update | None = None
        self._tail: LogTail | None = None
        self._cut: tuple[int, Update] | None = None
        self._is_failing = False

    @property
    def is_asleep(self) -> bool:
        """Return whether no one watches it."""
        return self._task is None

    def join(self, wakeup: asyncio.Event) -> None:
        """Begin to watch; it is woken at each change."""
        self._wakeups.add(wakeup)
        if not self._task:
            self._task = asyncio.create_task(self._run(), name=f"topic {self.name}")

    def leave(self, wakeup: asyncio.Event) -> None:
        """Watch no longer."""
        self._wakeups.discard(wakeup)
        self._until = monotonic() + _LINGER
        if not self._wakeups:
            asyncio.get_running_loop().call_later(_LINGER, self._woken.set)

    def touch(self) -> None:
        """Look again soon: something changed."""
        self._woken.set()

    def since(self, number: int) -> Update | None:
        """Return what somebody does not know yet who knows the value of a number; 0 knows none."""
        update = self._update
        if not update or update.number <= number:
            return None
        return self._write_rest(self._tail, number) if self._tail and number else update

    async def close(self) -> None:
        """Stop at once."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            await self._source.rest()

    async def _run(self) -> None:
        while True:
            while self._wakeups or monotonic() < self._until:
                self._woken.clear()
                await self._look()
                await asyncio.sleep(_SHORTEST)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), max(self._source.pause - _SHORTEST, 0.0))
            await self._source.rest()
            if not self._wakeups:
                self._task = None
                self._update = self._tail = None
                return

    async def _look(self) -> None:
        try:
            value = await self._source.look()
            self._is_failing = False
        except Exception as error:
            # Whatever is wrong with one look, the next may do.
            if not self._is_failing:
                console.warn(f"{self.name} cannot be told: {error!r}")
            self._is_failing = True
            value = self._update.value if self._update else None
        self._tell(value)

    def _tell(self, value: Any) -> None:
        self._tail = value if isinstance(value, LogTail) else None
        update = self._update
        if isinstance(value, LogTail):
            fresh = _write_tail(self.name, value, number=0)
        else:
            text = _write(value)
            fresh = Update(self.name, update.number + (text != update.text) if update else 1, value, text)
        if not update or fresh.number != update.number:
            self._update = fresh
            self._cut = None
            for wakeup in self._wakeups:
                wakeup.set()

    def _write_rest(self, tail: LogTail, number: int) -> Update:
        """Write what came after a number, once for all who know as much."""
        if not self._cut or self._cut[0] != number:
            self._cut = number, _write_tail(self.name, tail, number=number)
        return self._cut[1]


def _write_tail(topic: str, tail: LogTail, *, number: int) -> Update:
    """Write the entries that somebody does not know who knows a number of them, and one more."""
    new = tail.count + 1 - number
    entries = tail.entries[max(len(tail.entries) - new, 0) :]
    skipped = new - len(entries) if number else 0
    value = {"whole": not number, "skipped": skipped, "entries": list(entries)}
    return Update(topic, tail.count + 1, value, _write(value))


def _write(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
