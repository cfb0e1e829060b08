"""What a worker has in hand, noted in memory that outlives it.

A broker delivers again what a dead worker had, and does not say which message was being handled when it died. So a
worker notes a mark of each message before the handler gets it; when it dies, the supervisor puts the marks down in a
book that all workers see, and whoever is delivered the message again treats it as failed.

The connections of a process end before its parent learns of its death, and the broker may be quicker. So whoever is
delivered again what a dying worker has in hand waits for the supervisor's word.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from time import monotonic, sleep

# Bytes of a body that go into its mark: the rest of a long one would cost more than it tells.
_BODY_BYTES = 1024
# Marks that a hand has room for, a power of two; a batch of more messages is noted in part. A page of memory that is
# not written to takes none.
_ROOM = 8192
MEMORY_BYTES = _ROOM * 8
# One entry of the book: a mark, the process that sees to it, and the reason in UTF-8. The oldest makes place for a new
# one.
_ENTRY = struct.Struct("qq112s")
_REASON_BYTES = 112
_ENTRIES = 64
# How long the supervisor's word is waited for, and how often it is looked for.
_PATIENCE_SECONDS, _LOOK_SECONDS = 2.0, 0.002
# Linux's PF_EXITING, among the flags of a process: it is set before its connections are closed.
_EXITING = 0x4


class Book:
    """The messages that workers died of, each with the reason; written by the supervisor, read by all workers."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ENTRIES * _ENTRY.size)
        self._next = 0
        self._hands: list[Hand] = []

    def join(self, hand: "Hand") -> None:
        """Have a hand among those whose worker may die; before any worker is forked."""
        self._hands.append(hand)

    def is_awaited(self, mark: int) -> bool:
        """Tell whether a worker is dying, or dead, that has a message in hand, and the supervisor does not know yet."""
        return any(hand.has(mark) and hand.is_orphaned() for hand in self._hands)

    def note(self, mark: int, reason: str) -> None:
        """Write an entry."""
        text = reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
        _ENTRY.pack_into(self._memory, self._next * _ENTRY.size, mark, 0, text)
        self._next = (self._next + 1) % _ENTRIES

    def take(self, mark: int, taker: int) -> str:
        """Return the reason noted for a mark, which a process sees to from now on; nothing if there is none."""
        for offset, found, seen_to, text in self._entries():
            if found == mark and not seen_to:
                _ENTRY.pack_into(self._memory, offset, mark, taker, text)
                return str(text.rstrip(b"\0").decode())
        return ""

    def strike(self, mark: int, taker: int) -> None:
        """Remove the entry that a process has seen to."""
        for offset, found, seen_to, _ in self._entries():
            if (found, seen_to) == (mark, taker):
                _ENTRY.pack_into(self._memory, offset, 0, 0, b"")
                return

    def give_back(self, taker: int) -> None:
        """Have others see to the entries of a process that died before it had."""
        for offset, mark, seen_to, text in self._entries():
            if mark and seen_to == taker:
                _ENTRY.pack_into(self._memory, offset, mark, 0, text)

    def _entries(self) -> Iterator[tuple[int, int, int, bytes]]:
        for offset in range(0, _ENTRIES * _ENTRY.size, _ENTRY.size):
            yield (offset, *_ENTRY.unpack_from(self._memory, offset))


class Hand:
    """The marks of what one worker has in hand: written by the worker, read by the supervisor when it is dead."""

    def __init__(self, book: Book | None = None, memory: mmap.mmap | None = None) -> None:
        self._book = book or Book()
        self._book.join(self)
        self._marks = memoryview(memory or mmap.mmap(-1, MEMORY_BYTES)).cast("q")
        self._owner = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._count = 0

    def own(self) -> None:
        """Note that this process is the one that the hand belongs to."""
        self._owner[0] = os.getpid()

    def has(self, mark: int) -> bool:
        """Tell whether the worker has a message in hand."""
        return mark in self._list()

    def is_orphaned(self) -> bool:
        """Tell whether the worker is dying or dead."""
        return _is_dying(self._owner[0])

    def hold(self, mark: int) -> None:
        """Note that the handler gets a message."""
        self._marks[self._count & (_ROOM - 1)] = mark
        self._count += 1

    def release(self) -> None:
        """Note that the handler is done with a message; a batch is let go as a whole, so any order will do."""
        self._count -= 1
        self._marks[self._count & (_ROOM - 1)] = 0

    def take_blame(self, mark: int) -> str:
        """Return why the worker died that had a message in hand; nothing if none did.

        `settle_blame` says that the message is safe; should this worker die before that, the next one takes it.
        """
        deadline = monotonic() + _PATIENCE_SECONDS
        while self._book.is_awaited(mark) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
        return self._book.take(mark, self._owner[0] or os.getpid())

    def settle_blame(self, mark: int) -> None:
        """Forget why a worker died of a message: it has been told to whoever tries it again."""
        self._book.strike(mark, self._owner[0] or os.getpid())

    def blame(self, reason: str) -> bool:
        """Blame what the dead worker had in hand; tell whether there was anything."""
        self._book.give_back(self._owner[0])
        blamed = self._list()
        for place, mark in enumerate(blamed):
            # In this order: whoever waits for the word looks into the book once the mark is gone.
            self._book.note(mark, reason)
            self._marks[place] = 0
        return bool(blamed)

    def _list(self) -> list[int]:
        return list(takewhile(bool, self._marks))


class IdleHand(Hand):
    """The hand of a front, which handles nothing itself: no message is to blame for its end."""

    def hold(self, mark: int) -> None:
        """Note nothing."""

    def release(self) -> None:
        """Note nothing."""


def _is_dying(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    # After the program's name in brackets: the state, and as the seventh the flags.
    state, *rest = text.rpartition(b")")[2].split()
    return state in (b"Z", b"X") or bool(int(rest[5]) & _EXITING)


def mark_message(key: str | bytes, body: bytes) -> int:
    """Return the mark of a message with a routing key or topic.

    Two that are alike have the same, and it does not matter which of them is blamed. All processes agree on it, those
    after a restart of the container too.
    """
    name = key.encode(errors="surrogatepass") if isinstance(key, str) else key
    return (zlib.crc32(name) << 31) ^ zlib.crc32(body[:_BODY_BYTES]) or 1
