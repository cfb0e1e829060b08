"""The caretaker: sees to it that what a killed deploy has left does not go on beside what is recorded."""

import asyncio
from collections.abc import Callable, Iterable

from stack import console
from stack.errors import StackError
from stack.run.live.events import Event

# Seconds between two looks whether a function is still being deployed.
_AGAIN = 1.0

# By what a container shows that it is there; one whose deploy was killed may never have been started.
_BEGINNINGS = ("create", "start")

# Sees to one function, and says whether that could be done.
Clear = Callable[[str], bool]


class Caretaker:
    """Looks after each function that has a new container, once no deploy of it is under way any more."""

    def __init__(self, find_names: Callable[[], Iterable[str]], clear: Clear) -> None:
        self._find_names = find_names
        self._clear = clear
        self._waiting: set[str] = set()
        self._is_all = True
        self._bell = asyncio.Event()
        self._bell.set()

    def hear(self, event: Event | None) -> None:
        """Take note of one of Docker's events; of none, when some may have been missed, as if all were new."""
        if event is None:
            self._is_all = True
        elif event.function and event.action in _BEGINNINGS:
            self._waiting.add(event.function)
        else:
            return
        self._bell.set()

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            await self._look()
            if self._waiting:
                await asyncio.sleep(_AGAIN)
                self._bell.set()

    async def _look(self) -> None:
        if self._is_all:
            self._is_all = False
            self._waiting |= set(await asyncio.to_thread(self._find_names))
        for name in sorted(self._waiting):
            try:
                is_done = await asyncio.to_thread(self._clear, name)
            except (StackError, OSError) as error:
                console.warn(f"{name}: {error}")
                is_done = True
            if is_done:
                self._waiting.discard(name)
