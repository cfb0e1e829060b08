"""What functions say, as a file: JSON Lines, CSV or SQLite."""

import csv
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from stack.errors import HostError

_FIELDS = ("time", "message", "correlation")


@dataclass(frozen=True)
class Record:
    """One line of feedback; the time is ISO 8601, in UTC, and the correlation names the reading."""

    time: str
    message: str
    correlation: str


class Sink(AbstractContextManager["Sink"], Protocol):
    """Keeps records."""

    def store(self, records: Sequence[Record]) -> None:
        """Keep records; when this returns they are on the disk."""


class _TextSink:
    """A text file that is written to the disk after each batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] = path.open("a", encoding="utf-8", newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _explained(self._path):
                self._file.close()
        except HostError:
            # What could not be stored cannot be written by then either: the first error is the one to tell.
            if error is None:
                raise

    def _settle(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


class JsonLinesSink(_TextSink):
    """One JSON object a line."""

    def store(self, records: Sequence[Record]) -> None:
        """Append records."""
        with _explained(self._path):
            self._file.writelines(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)
            self._settle()


class CsvSink(_TextSink):
    """One row a record, below a row of headings."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writer = csv.writer(self._file)
        if not path.stat().st_size:
            self._writer.writerow(_FIELDS)

    def store(self, records: Sequence[Record]) -> None:
        """Append records."""
        with _explained(self._path):
            self._writer.writerows(astuple(record) for record in records)
            self._settle()


class SqliteSink:
    """A table `feedback`; the write-ahead log lets others read it meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = sqlite3.connect(path)
        try:
            self._prepare()
        except sqlite3.Error:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS feedback (time TEXT, message TEXT, correlation TEXT)")
        self._database.commit()

    def store(self, records: Sequence[Record]) -> None:
        """Insert records, all or none."""
        with _explained(self._path), self._database:
            self._database.executemany("INSERT INTO feedback VALUES (?, ?, ?)", map(astuple, records))


class NoSink:
    """Keeps nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def store(self, records: Sequence[Record]) -> None:
        """Forget records."""


_KINDS: Mapping[str, Callable[[Path], Sink]] = {".jsonl": JsonLinesSink, ".csv": CsvSink, ".sqlite": SqliteSink}


def open_sink(output: str) -> Sink:
    """Open the file to keep records in, by its suffix; nothing is kept if none is named.

    Raises:
        HostError: the suffix is unknown, or the file cannot be written.
    """
    if not output:
        return NoSink()
    path = Path(output).expanduser()
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise HostError(f"--output {output}: should end in {', '.join(_KINDS)}, which says how it is kept.")
    with _explained(path):
        return kind(path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the disk or SQLite refuses into a message."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HostError(f"--output {path} cannot be written: {reason}. Choose another --output.") from error
