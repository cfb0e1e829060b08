"""Which names the code of functions holds as they are: a hint at where they send what they make."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.config.source import FOLDER
from stack.run.workspace import Workspace

_CODE = ".py"
# Bytes of a file that are looked at.
_MOST_BYTES = 200_000


@dataclass
class MentionReader:
    """Reads the code of functions, each file again only when it has changed."""

    workspace: Workspace
    _texts: dict[Path, tuple[int, str]] = field(default_factory=dict)

    def find(self, functions: Mapping[str, Collection[str]], names: Collection[str]) -> dict[str, list[str]]:
        """Return the names that stand in quotes in each function's files; the files are paths in its folder."""
        return {
            function: [name for name in names if any(_holds(text, name) for text in self._read(function, files))]
            for function, files in functions.items()
        }

    def _read(self, function: str, files: Collection[str]) -> Iterator[str]:
        for name in files:
            path = self.workspace.root / FOLDER / function / name
            if path.suffix == _CODE:
                yield self._read_file(path)

    def _read_file(self, path: Path) -> str:
        try:
            changed = path.stat().st_mtime_ns
            if self._texts.get(path, (0, ""))[0] != changed:
                with path.open(errors="replace") as file:
                    self._texts[path] = changed, file.read(_MOST_BYTES)
        except OSError:
            return ""
        return self._texts[path][1]


def _holds(text: str, name: str) -> bool:
    return any(f"{quote}{name}{quote}" in text for quote in "\"'")
