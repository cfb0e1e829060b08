"""Which messages a worker handles right now, noted in memory that outlives it.

A broker delivers again what a dead worker had, and does not say which message was being handled when it died. So a
worker notes a fingerprint of each message before the handler gets it; when it dies, the supervisor puts the
fingerprints down in a ledger that all workers see, and the worker that is delivered the message again treats it as
failed.

The connections of a process end before its parent learns of its death, and the broker may be quicker. So a worker that
is delivered again what a dying one has in flight waits for the supervisor's word.

A handler that starts processes without end, or takes the supervisor along otherwise, leaves no process that could note
of which message that was. A quorum queue counts how often it delivers one, and a classic queue does not: it would
deliver this one for ever. So the fingerprints lie in files of the container's own layer, which Docker keeps over a
restart and drops with the container.
"""

import json
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path
from time import monotonic, sleep

# Bytes of a body that go into its fingerprint: the rest of a long one would cost more than it tells.
_BODY_BYTES = 1024
# Fingerprints that one object has room for, a power of two; a batch of more messages is noted in part. A page of memory
# that is not written to takes none.
_ROOM = 8192
MEMORY_BYTES = _ROOM * 8
# One entry of the ledger: a fingerprint, the process that sees to it, and the reason in UTF-8. The oldest makes place
# for a new one.
_ENTRY = struct.Struct("qq112s")
_REASON_BYTES = 112
_ENTRIES = 64
# How long the supervisor's word is waited for, and how often it is looked for.
_PATIENCE_SECONDS, _LOOK_SECONDS = 2.0, 0.002
# Linux's PF_EXITING, among the flags of a process: it is set before its connections are closed.
_EXITING = 0x4


class CrashLedger:
    """The messages that workers died of, each with the reason; written by the supervisor, read by all workers."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ENTRIES * _ENTRY.size)
        self._next = 0
        self._members: list[InFlight] = []

    def join(self, member: "InFlight") -> None:
        """Add one worker's messages to those that are looked at; before any worker is forked."""
        self._members.append(member)

    def is_awaited(self, fingerprint: int) -> bool:
        """Return whether a worker that has a message in flight is dying or dead and the supervisor does not know."""
        return any(member.has(fingerprint) and member.is_orphaned() for member in self._members)

    def attribute(self, fingerprint: int, reason: str) -> None:
        """Write an entry."""
        text = reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
        _ENTRY.pack_into(self._memory, self._next * _ENTRY.size, fingerprint, 0, text)
        self._next = (self._next + 1) % _ENTRIES

    def take(self, fingerprint: int, taker: int) -> str:
        """Return the reason noted for a fingerprint, which a process sees to from now on; nothing if there is none."""
        for offset, found, seen_to, text in self._entries():
            if found == fingerprint and not seen_to:
                _ENTRY.pack_into(self._memory, offset, fingerprint, taker, text)
                return str(text.rstrip(b"\0").decode())
        return ""

    def resolve(self, fingerprint: int, taker: int) -> None:
        """Remove the entry that a process has seen to."""
        for offset, found, seen_to, _ in self._entries():
            if (found, seen_to) == (fingerprint, taker):
                _ENTRY.pack_into(self._memory, offset, 0, 0, b"")
                return

    def give_back(self, taker: int) -> None:
        """Have others see to the entries of a process that died before it had."""
        for offset, fingerprint, seen_to, text in self._entries():
            if fingerprint and seen_to == taker:
                _ENTRY.pack_into(self._memory, offset, fingerprint, 0, text)

    def _entries(self) -> Iterator[tuple[int, int, int, bytes]]:
        for offset in range(0, _ENTRIES * _ENTRY.size, _ENTRY.size):
            yield (offset, *_ENTRY.unpack_from(self._memory, offset))


class InFlight:
    """What one worker has in flight: written by the worker, read by the supervisor when it is dead."""

    def __init__(self, ledger: CrashLedger | None = None, memory: mmap.mmap | None = None) -> None:
        self._ledger = ledger or CrashLedger()
        self._ledger.join(self)
        self._fingerprints = memoryview(memory or mmap.mmap(-1, MEMORY_BYTES)).cast("q")
        self._owner = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._count = 0

    def own(self) -> None:
        """Note that this process is the one whose messages these are."""
        self._owner[0] = os.getpid()

    def has(self, fingerprint: int) -> bool:
        """Return whether the worker has a message in flight."""
        return fingerprint in self._list()

    def is_orphaned(self) -> bool:
        """Return whether the worker is dying or dead."""
        return _is_dying(self._owner[0])

    def hold(self, fingerprint: int) -> None:
        """Note that the handler gets a message."""
        self._fingerprints[self._count & (_ROOM - 1)] = fingerprint
        self._count += 1

    def release(self) -> None:
        """Note that the handler is done with a message; a batch is let go as a whole, so any order will do."""
        self._count -= 1
        self._fingerprints[self._count & (_ROOM - 1)] = 0

    def take_crash(self, fingerprint: int) -> str:
        """Return why the worker died that had a message in flight; nothing if none did.

        `resolve_crash` says that the message is safe; should this worker die before that, the next one takes it.
        """
        deadline = monotonic() + _PATIENCE_SECONDS
        while self._ledger.is_awaited(fingerprint) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
        return self._ledger.take(fingerprint, self._owner[0] or os.getpid())

    def resolve_crash(self, fingerprint: int) -> None:
        """Forget why a worker died of a message: it has been told to the worker that tries it again."""
        self._ledger.resolve(fingerprint, self._owner[0] or os.getpid())

    def attribute(self, reason: str) -> bool:
        """Attribute the worker's death to what it had in flight; return whether there was anything."""
        self._ledger.give_back(self._owner[0])
        attributed = self._list()
        for index, fingerprint in enumerate(attributed):
            # In this order: a worker that waits for the word looks into the ledger once the fingerprint is gone.
            self._ledger.attribute(fingerprint, reason)
            self._fingerprints[index] = 0
        return bool(attributed)

    def _list(self) -> list[int]:
        return list(takewhile(bool, self._fingerprints))


class NothingInFlight(InFlight):
    """What a dispatcher has, which handles nothing itself: no message has caused its end."""

    def hold(self, fingerprint: int) -> None:
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


def fingerprint_message(key: str | bytes, body: bytes) -> int:
    """Return the fingerprint of a message with a routing key or topic.

    Two that are alike have the same, and it does not matter which of them is meant. All processes agree on it, those
    after a restart of the container too.
    """
    name = key.encode(errors="surrogatepass") if isinstance(key, str) else key
    return (zlib.crc32(name) << 31) ^ zlib.crc32(body[:_BODY_BYTES]) or 1


# Where the files are in a container. Where that is a tmpfs, as below a root that is read-only, nothing outlives it.
FOLDER = Path("/tmp/.nuclio-in-hand")
# A container may be ended by what no message has caused, so that one counts as failed only after several times.
MOST_DEATHS = 3
# Seconds after which a death counts no more, and how many messages are remembered.
_MEMORY_SECONDS, _MOST_REMEMBERED = 3600.0, 64
_DEATHS, _FINGERPRINTS = "deaths.json", "marks-"

# How many containers' ends a message was in flight at, and when it was for the last time, in seconds since 1970.
_Deaths = dict[int, tuple[int, float]]


class CrashFiles:
    """The files of one start of the container; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._numbers = count()
        self.attributed: tuple[int, ...] = ()
        """The fingerprints of messages that were in flight too often when the container ended."""
        if folder:
            # What cannot be read or written, such as on a full disk, keeps no function from its work.
            with suppress(OSError):
                folder.mkdir(mode=0o700, exist_ok=True)
                self.attributed = tuple(_note_deaths(folder, time.time()))

    def open_memory(self, size: int) -> mmap.mmap:
        """Return memory for fingerprints, all zero: a file's, where there can be one."""
        if self._folder:
            with suppress(OSError, ValueError):
                return _open_file(self._folder / f"{_FINGERPRINTS}{next(self._numbers)}", size)
        return mmap.mmap(-1, size)


def _open_file(path: Path, size: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Room is had now: a process that writes to memory for which the disk has none is killed.
        os.posix_fallocate(descriptor, 0, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _note_deaths(folder: Path, now: float) -> Iterator[int]:
    """Count what was in flight when the container ended, and make room for new files; yield what was so too often."""
    deaths = {fingerprint: one for fingerprint, one in _load(folder).items() if now - one[1] < _MEMORY_SECONDS}
    for path in folder.glob(f"{_FINGERPRINTS}*"):
        for fingerprint in _read_fingerprints(path):
            deaths[fingerprint] = (deaths.get(fingerprint, (0, now))[0] + 1, now)
        path.unlink()
    latest = sorted(deaths.items(), key=lambda one: one[1][1])[-_MOST_REMEMBERED:]
    (folder / _DEATHS).write_text(json.dumps(latest))
    yield from (fingerprint for fingerprint, (number, _) in latest if number >= MOST_DEATHS)


def _read_fingerprints(path: Path) -> set[int]:
    content = path.read_bytes()
    return set(takewhile(bool, memoryview(content[: len(content) // 8 * 8]).cast("q")))


def _load(folder: Path) -> _Deaths:
    try:
        return {
            int(fingerprint): (int(number), float(last)) for fingerprint, (number, last) in _parse(folder / _DEATHS)
        }
    except (ValueError, TypeError):
        return {}


def _parse(path: Path) -> Iterator[tuple[int, tuple[int, float]]]:
    if path.exists():
        yield from json.loads(path.read_text())
