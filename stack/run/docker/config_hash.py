"""What Compose made of a file is remembered: the same file, read by the same Compose, has the same hashes.

Compose takes a third of a second to read fifty functions, and most tasks find nothing changed.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stack.run.docker.compose import find_plugins
from stack.run.state_file import parse_json
from stack.run.workspace import write_file

# Files that are remembered: the rendered one, and candidates of deploys.
_MOST = 4


class HashMemory:
    """The hashes of the last files, kept in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, key: str, ask: Callable[[], str]) -> dict[str, str]:
        """Return the hashes under a key, or else what Compose prints when it is asked: a service and a hash a line."""
        known = self.recall(key)
        if known is None:
            known = dict(line.split() for line in ask().splitlines() if line.strip())
            self.remember(key, known)
        return known

    def recall(self, key: str) -> dict[str, str] | None:
        """Return the hashes that are remembered under a key, by service."""
        return self._read().get(key)

    def remember(self, key: str, hashes: Mapping[str, str]) -> None:
        """Keep hashes; the oldest go."""
        kept = {name: known for name, known in self._read().items() if name != key}
        latest = list(kept.items())[1 - _MOST :]
        write_file(self._path, json.dumps(dict([*latest, (key, dict(hashes))])).encode(), is_durable=False)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            return parse_json(dict[str, dict[str, str]], self._path.read_bytes())
        except (OSError, ValueError):
            return {}


def make_key(command: Sequence[str], compose: bytes) -> str:
    """Return what stands for a command that reads a file, and for the Compose that would do it."""
    stamps = [(str(path), path.stat().st_mtime_ns) for path in find_plugins()]
    return hashlib.sha256(repr((command, stamps)).encode() + compose).hexdigest()
