"""Wrong passwords are slowed down, each address on its own, so that nobody guesses many and nobody is locked out."""

import time
from asyncio import Lock, sleep
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

# A wrong password waits so long, twice as long each time, up to the most; and is forgotten after a quiet while.
_FIRST_SECONDS, _MOST_SECONDS, _FORGET_SECONDS = 0.5, 16.0, 900.0
# Attempts of one address that may wait for their turn; more are refused at once.
_MOST_WAITING = 8
_MOST_ADDRESSES = 1000


class TooManyAttempts(Exception):  # noqa: N818 -- it is what HTTP calls its answer
    """Too many attempts of one address wait already."""


@dataclass
class _Record:
    turn: Lock = field(default_factory=Lock)
    waiting: int = 0
    delay: float = 0.0
    """Seconds that the last wrong password waited."""
    last: float = 0.0


class Throttle:
    """Lets each address try one password at a time."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    async def attempt(self, address: str, check: Callable[[], Awaitable[bool]]) -> bool:
        """Return what a check says; after a wrong one only when its time is over.

        Raises:
            TooManyAttempts: the address has too many attempts under way.
        """
        record = self._find(address)
        if record.waiting >= _MOST_WAITING:
            raise TooManyAttempts
        record.waiting += 1
        try:
            async with record.turn:
                return await self._take_turn(record, check)
        finally:
            record.waiting -= 1

    async def _take_turn(self, record: _Record, check: Callable[[], Awaitable[bool]]) -> bool:
        if await check():
            record.delay = 0.0
            return True
        record.delay = min(2 * record.delay, _MOST_SECONDS) or _FIRST_SECONDS
        record.last = time.monotonic()
        await sleep(record.delay)
        return False

    def _find(self, address: str) -> _Record:
        """Return an address's record; quiet ones are forgotten when there are many."""
        now = time.monotonic()
        if len(self._records) >= _MOST_ADDRESSES:
            kept = {key: one for key, one in self._records.items() if one.waiting or now - one.last < _FORGET_SECONDS}
            self._records = kept
        record = self._records.setdefault(address, _Record())
        if not record.waiting and now - record.last > _FORGET_SECONDS:
            record.delay = 0.0
        return record
