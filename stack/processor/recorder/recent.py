"""What the store has taken last, kept in files: until it has written that to its own disk, only we could tell it again.

VictoriaMetrics writes what it has taken to the disk within five seconds. A message is acknowledged before that, so that
a store that is killed, or loses its power, must be told again, also by a recorder that was killed with it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

# Seconds after which the store has written what it has taken; twice its own, and some more.
WRITTEN_AFTER = 15.0
_CURRENT, _FORMER = ".current", ".former"


class RecentLines:
    """Two files of one worker: what was taken in the last seconds, and in those before; `name` is the worker's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._current, self._former = folder / f"{name}{_CURRENT}", folder / f"{name}{_FORMER}"
        self._since = time.monotonic()
        # When each file was written to last, as of the look before.
        self._seen: dict[Path, int] = {}

    def append(self, lines: bytes) -> None:
        """Keep what the store has taken; when this returns, it is on the disk.

        Raises:
            OSError: there is no room for it.
        """
        if time.monotonic() - self._since > WRITTEN_AFTER and self._current.exists():
            self._current.replace(self._former)
            self._since = time.monotonic()
        with self._current.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[bytes]:
        """Yield what was kept, of other workers too: after a start they may be others than before."""
        for path in self._list_files():
            if lines := _read_whole(path):
                yield lines

    def renew(self) -> None:
        """Keep all for as long as what is taken now: the store was just sent it again, and may be killed again."""
        self._since = time.monotonic()

    def drop_written(self, *, is_same_store: bool) -> None:
        """Drop what has not changed since the look before this one; looks are `WRITTEN_AFTER` seconds apart.

        Nothing is dropped unless the store is still the one of that look, and so has written it meanwhile. What is
        kept for longer would come back with the store's next start, though somebody has deleted it there.

        Raises:
            OSError: a file cannot be deleted, or another worker has just done so.
        """
        seen = {path: path.stat().st_mtime_ns for path in self._list_files()}
        if is_same_store:
            for path in [path for path, changed in seen.items() if self._seen.get(path) == changed]:
                path.unlink()
        self._seen = seen

    def _list_files(self) -> list[Path]:
        """Return the files there are, of all workers, the newest of each first."""
        return [path for path in sorted(self._folder.glob("*"), reverse=True) if path.suffix in (_CURRENT, _FORMER)]


def _read_whole(path: Path) -> bytes:
    """Return the lines of a file, without one that a loss of power has cut off, or that another is about to write."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        # Another worker has just given it another name.
        return b""
    return content[: content.rfind(b"\n") + 1]
