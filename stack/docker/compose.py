"""Compose's own program: by way of docker, which first asks each of its plugins what it is, it starts 50 ms later."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stack.docker.command import is_plain, is_program, own_folder
from stack.state.state_file import parse_json
from stack.state.workspace import write_file

# Where Docker looks for its plugins besides, in its order.
_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_PLUGIN = "docker-compose"


def find_plugins() -> list[Path]:
    """Return the Composes there are, the one that Docker takes first."""
    plugins = [Path(folder) / _PLUGIN for folder in (own_folder() / "cli-plugins", *_FOLDERS)]
    return [plugin for plugin in plugins if plugin.is_file()]


def find_command() -> list[str]:
    """Return what Compose is called by: its own program where it is plain that docker would call the same.

    Two versions label containers with different hashes, and would replace each other's.
    """
    plugins = find_plugins()
    is_certain = len(plugins) == 1 and is_program(plugins[0]) and is_plain()
    return [str(plugins[0])] if is_certain else ["docker", "compose"]


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
