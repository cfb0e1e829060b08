"""The logger's handler: what functions say on a queue becomes lines of JSON in files, of which the oldest goes."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from nuclio_sdk import Context, Event

from stack.contract import FEEDBACK_BYTES, FEEDBACK_FOLDER

# Files that all lines are in: where one more would begin, the oldest goes.
_FILES = 10
_PATTERN = "*.jsonl"


class LineFiles:
    """Files of lines in a folder, whose names are numbers in the order in which they were begun."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._size = max(1, most_bytes // _FILES)

    def append(self, lines: Sequence[str]) -> None:
        """Keep lines; when this returns they are on the disk.

        Raises:
            OSError: there is no room for them.
        """
        path = self._find_current()
        with path.open("ab+") as file:
            file.write((_find_break(path) + "".join(f"{line}\n" for line in lines)).encode())
            file.flush()
            os.fsync(file.fileno())
        for old in self._list()[:-_FILES]:
            old.unlink(missing_ok=True)

    def _list(self) -> list[Path]:
        return sorted(self._folder.glob(_PATTERN))

    def _find_current(self) -> Path:
        """Return the last file, or a new one where that is full."""
        last = next(reversed(self._list()), None)
        if last and last.stat().st_size < self._size:
            return last
        return self._folder / f"{int(last.stem) + 1 if last else 1:010}.jsonl"


def _find_break(path: Path) -> str:
    """Return what ends a line that a loss of power has cut off."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return ""
        file.seek(-1, os.SEEK_END)
        return "" if file.read() == b"\n" else "\n"


def _write_line(event: Event, now: str) -> str:
    body = event.body
    message = body.decode(errors="replace") if isinstance(body, bytes) else body
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return json.dumps({"time": now, "message": text}, ensure_ascii=False)


def init_context(context: Context) -> None:
    """Find where lines are kept, and how many."""
    context.user_data.files = LineFiles(Path(FEEDBACK_FOLDER), int(os.environ[FEEDBACK_BYTES]))


def handler(context: Context, events: Sequence[Event]) -> list[object]:
    """Keep a line for each event of a batch."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    context.user_data.files.append([_write_line(event, now) for event in events])
    return []
