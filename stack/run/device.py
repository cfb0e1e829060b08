"""What devices see: readings sent to the broker as a sensor would, and what the functions say of them on iot/logs."""

import csv
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic
from types import TracebackType
from typing import IO, Protocol, Self

from stack import console
from stack.docker.stack import open_stack
from stack.errors import BrokerError, HostError, StackError
from stack.plan.device import Reading, SendRequest, check_request, count_readings, measure
from stack.rabbitmq.device import send
from stack.rabbitmq.listener import Listener, Message, Queue
from stack.rabbitmq.management import find_broker, find_device_broker


def send_and_print(order: SendRequest) -> None:
    """Send readings, and show each as it goes; of many only the count.

    Raises:
        StackError: an option is out of its range, the broker cannot be reached, or no queue took a reading.
    """
    readings = measure(check_request(order), Random())
    broker = find_device_broker(open_stack())
    show = _show if order.rate else _pass_over
    start = monotonic()
    try:
        unheard = send(broker, order, readings, show=show, stop=threading.Event())
    except KeyboardInterrupt:
        console.say("Stopped before all was sent.")
        raise
    seconds = monotonic() - start
    _explain_unheard(unheard, order.protocol)
    count = count_readings(len(readings))
    console.success(f"{count} over {order.protocol.upper()} in {seconds:.1f} s, each confirmed.")
    console.say("Next: `invoke logger` shows what the functions say of them.")


def _explain_unheard(unheard: Sequence[Reading], protocol: str) -> None:
    """Complain of readings that no queue took.

    Raises:
        BrokerError: there are some.
    """
    if unheard:
        raise BrokerError(
            f"{count_readings(len(unheard))} reached no queue: no function is listening; deploy one: "
            f"`invoke deploy-function {protocol}consume`. Where one is, `invoke status` tells of misspelt keys."
        )


def _show(reading: Reading) -> None:
    console.show(f" [x] Sent {reading.sensor}: '{reading.value}'")


def _pass_over(_reading: Reading) -> None:
    return


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


# As the tutorial's own logger declares it.
LOGS, IS_DURABLE = "iot/logs", False

_PREFETCH = 500
_LOOK_SECONDS = 1.0


def log_feedback(count: int, output: str) -> None:
    """Print messages as they come, so many or until Ctrl-C; each is acknowledged once it is stored.

    Raises:
        StackError: `count` is negative, the file cannot be written, or the broker cannot be reached.
    """
    if count < 0:
        raise StackError(f"--count {count}: should be 1 or more, or 0 to go on until Ctrl-C.")
    queue = Queue(LOGS, IS_DURABLE, prefetch=min(count, _PREFETCH) or _PREFETCH)
    with open_sink(output) as sink, Listener(find_broker(open_stack()), [queue], told=console.warn) as listener:
        console.note(" [*] Waiting for messages. To exit press CTRL+C")
        heard = 0
        try:
            while not count or heard < count:
                messages = listener.receive(_LOOK_SECONDS)
                if count:
                    messages = messages[: count - heard]
                sink.store(_read(messages))
                for message in messages:
                    console.show(f" [x] Received '{message.text}'")
                listener.acknowledge(messages)
                heard += len(messages)
        except KeyboardInterrupt:
            console.note("Stopped.")


def _read(messages: Sequence[Message]) -> list[Record]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [Record(now, message.text, message.correlation) for message in messages]
