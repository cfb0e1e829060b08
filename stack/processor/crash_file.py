"""What was in flight when a whole container ended, in files that outlive its restart.

A handler that starts processes without end, or takes the supervisor along otherwise, leaves no process that could note
of which message that was. A quorum queue counts how often it delivers one, and a classic queue does not: it would
deliver this one for ever. So the fingerprints of what is in flight lie in files of the container's own layer, which
Docker keeps over a restart and drops with the container.
"""

import json
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path

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
