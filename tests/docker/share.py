"""What the workers of one run share: a folder, turns to take, and names that the last of them sees to."""

import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path


@dataclass(frozen=True)
class Share:
    """The folder of a run, in which every worker of pytest-xdist has its own; without it there is one process."""

    folder: Path

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Let one process at a time do what `name` stands for; the others wait."""
        with (self.folder / f"{name}.lock").open("w") as file:
            flock(file, LOCK_EX)
            yield

    @contextmanager
    def collecting(self, name: str, finish: Callable[[Collection[str]], object]) -> Iterator[set[str]]:
        """Give a set to add to; the last to end this block finishes with what all have added."""
        own: set[str] = set()
        self._note(name, +1, own)
        try:
            yield own
        finally:
            members, names = self._note(name, -1, own)
            if not members:
                finish(names)

    def _note(self, name: str, members: int, names: Collection[str]) -> tuple[int, list[str]]:
        """Add to how many are in the block and to what they have collected; return both."""
        path = self.folder / f"{name}.json"
        with self.turn(name):
            count, known = json.loads(path.read_text()) if path.exists() else (0, [])
            state = (count + members, sorted({*known, *names}))
            path.write_text(json.dumps(state))
        return state


def open_share(own: Path) -> Share:
    """Return the share of a run, found by the folder that is this process' own."""
    return Share(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
