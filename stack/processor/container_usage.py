"""What the container uses, as the kernel counts it for its control group: files of version 2, or else of version 1."""

from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/sys/fs/cgroup")


class ContainerUsage(NamedTuple):
    """Bytes of memory, the file cache left out as Docker does, and the seconds that processors have worked."""

    memory_bytes: float = 0.0
    cpu_seconds: float = 0.0


def read_usage(root: Path = _ROOT) -> ContainerUsage:
    """Return what is used; nothing where the kernel does not tell it."""
    try:
        return _read_second(root) if (root / "memory.current").exists() else _read_first(root)
    except (OSError, ValueError, KeyError):
        return ContainerUsage()


def _read_second(root: Path) -> ContainerUsage:
    memory = int((root / "memory.current").read_text()) - _read_counts(root / "memory.stat")["inactive_file"]
    return ContainerUsage(float(memory), _read_counts(root / "cpu.stat")["usage_usec"] / 1e6)


def _read_first(root: Path) -> ContainerUsage:
    folder = root / "memory"
    cache = _read_counts(folder / "memory.stat")["total_inactive_file"]
    memory = int((folder / "memory.usage_in_bytes").read_text()) - cache
    return ContainerUsage(float(memory), int((root / "cpuacct/cpuacct.usage").read_text()) / 1e9)


def _read_counts(path: Path) -> dict[str, int]:
    return {name: int(count) for name, count in (line.split() for line in path.read_text().splitlines())}
