"""The limit of processes of a container: one that stays full is a fork bomb, and only the container's end clears it.

Docker refuses to start the health check in such a container, and nothing in it can start another process to clean up.
When process 1 ends, the kernel kills all the others, and Docker starts the container again.
"""

from pathlib import Path

# Where control groups of version 2 and of version 1 have the files, as a container sees its own.
_FOLDERS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/pids"))
# Seconds between two looks, and how many in a row must find the container full.
_INTERVAL, _LOOKS = 3.0, 3


class PidsLimit:
    """Looks, now and then, whether a container has had all its processes for a while; without a limit it never has."""

    def __init__(self, folders: tuple[Path, ...] = _FOLDERS) -> None:
        self._folder = next((one for one in folders if _read(one / "pids.max")), None)
        self._full = 0
        self.due = float("inf") if self._folder is None else 0.0
        """When the next look is due, in seconds of the monotonic clock."""

    def is_exhausted(self, now: float) -> bool:
        """Return whether each of the last looks has found as many processes as there may be."""
        if now < self.due or self._folder is None:
            return False
        self.due = now + _INTERVAL
        limit = _read(self._folder / "pids.max")
        self._full = self._full + 1 if limit and _read(self._folder / "pids.current") >= limit else 0
        return self._full >= _LOOKS


def _read(path: Path) -> int:
    """Return the number in a file, or 0 where there is no such file, or no limit ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
