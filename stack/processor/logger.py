"""Nuclio's console log: one line for each record, on standard output; and the log of one event, for a client that asks.

    26.01.31 10:11:12.345 (I)  sor.http.w0.python.logger message {"worker_id":"0"}

The date, the level's letter, the last 25 characters of the logger's name, the message, and what was logged with it.

A request's header `x-nuclio-log-level` asks for the lines from a level onwards; the response's `x-nuclio-logs` has them
as a JSON array. As with Nuclio it is left out where it would be too long for a header.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from traceback import format_exception_only
from typing import Any

from nuclio_sdk import Logger
from nuclio_sdk.json_encoder import Encoder

from stack.contract import LOGS
from stack.processor.configuration import LEVELS, Sink
from stack.processor.response import Response

# The name under which nuclio-sdk's logger is known to logging.
ROOT = "nuclio"
# Nuclio's names of levels.
LEVEL_NAMES = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
# The field of a record whose text is written below its line, not into it.
TRACEBACK = "traceback"

_NAME_WIDTH = 25
# ANSI colours of Nuclio's levels: green, blue, yellow, red; and white for the name.
_COLOURS = {"D": "\x1b[32m", "I": "\x1b[34m", "W": "\x1b[33m", "E": "\x1b[31m"}
_NAME_COLOUR, _PLAIN = "\x1b[37m", "\x1b[0m"


class ConsoleFormatter(logging.Formatter):
    """Formats records as Nuclio's console does."""

    def __init__(self, name: str, *, coloured: bool) -> None:
        super().__init__()
        self._name = name[-_NAME_WIDTH:].rjust(_NAME_WIDTH)
        self._coloured = coloured
        self._encoder = Encoder(separators=(",", ":"))
        self._second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without its end; a traceback follows on lines of its own."""
        letter = LEVEL_NAMES.get(record.levelno, "debug")[0].upper()
        name = self._name
        if self._coloured:
            letter, name = f"{_COLOURS[letter]}{letter}{_PLAIN}", f"{_NAME_COLOUR}{name}{_PLAIN}"
        line = f"{self._time(record)} ({letter}) {name} {record.getMessage()}"
        fields = dict(getattr(record, "with", None) or {})
        trace = fields.pop(TRACEBACK, "")
        if fields:
            line += " " + _encode(self._encoder, fields)
        return f"{line}\n{trace.rstrip()}" if trace else line

    def _time(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if self._second[0] != second:
            self._second = (second, time.strftime("%y.%m.%d %H:%M:%S", time.localtime(second)))
        return f"{self._second[1]}.{int(record.msecs):03d}"


class JsonFormatter(logging.Formatter):
    """Formats records as JSON documents, one a line, as Nuclio's sink does."""

    def __init__(self, name: str, sink: Sink) -> None:
        super().__init__()
        self._name = name
        self._sink = sink
        self._encoder = Encoder(separators=(",", ":"))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without its end; what was logged with it hides none of the line's own fields."""
        fields = getattr(record, "with", None) or {}
        line = {
            self._sink.time_field: self._time(record),
            "level": LEVEL_NAMES.get(record.levelno, "debug"),
            "name": self._name,
            "message": record.getMessage(),
        }
        if self._sink.group:
            return _encode(self._encoder, line | {self._sink.group: fields})
        return _encode(self._encoder, line | {name: value for name, value in fields.items() if name not in line})

    def _time(self, record: logging.LogRecord) -> float | str:
        if self._sink.is_iso:
            return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return record.created * 1000


def open_logger(name: str, sink: Sink) -> Logger:
    """Return a logger of nuclio-sdk that writes lines under a name, on standard output."""
    logger = Logger(sink.level, name=ROOT)
    console = ConsoleFormatter(name, coloured=sys.stdout.isatty())
    logger.set_handler("console", sys.stdout, JsonFormatter(name, sink) if sink.is_json else console)
    inner = logging.getLogger(ROOT)
    # nuclio-sdk passes records of every level on to the handlers.
    for handler in inner.handlers:
        handler.setLevel(sink.level)
    # Handlers of a user's root logger would print each line a second time.
    inner.propagate = False
    return logger


def write_record(level: int, message: str, fields: dict[str, Any]) -> None:
    """Log what code that is not Python's says, with fields of any names."""
    logger = logging.getLogger(ROOT)
    logger.handle(logger.makeRecord(ROOT, level, "", 0, message, (), None, extra={"with": fields}))


def _encode(encoder: Encoder, fields: dict[str, object]) -> str:
    try:
        return str(encoder.encode(fields))
    except (TypeError, ValueError):
        return json.dumps({str(name): repr(value) for name, value in fields.items()})


def prepare_output() -> None:
    """Make each line of print() and of the logs leave at once, and keep libraries from logging what is told anyway."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    logging.getLogger("pika").setLevel(logging.CRITICAL)


# Bytes from which on Nuclio leaves the header out.
_LIMIT = 4096


class LogCapture(logging.Handler):
    """Keeps the lines that are logged while it is open."""

    def __init__(self, level: str, name: str) -> None:
        super().__init__(LEVELS.get(level.strip().lower(), logging.DEBUG))
        self._logger_name = name
        self._lines: list[dict[str, Any]] = []
        logging.getLogger(ROOT).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        line = {
            "time": record.created * 1000,
            "level": LEVEL_NAMES.get(record.levelno, "debug"),
            "name": self._logger_name,
            "message": _read_message(record),
        }
        self._lines.append({**getattr(record, "with", {}), **line})

    def finish(self, response: Response) -> Response:
        """Stop, and return the response with the lines in its head, if JSON can say them and they are not too long."""
        logging.getLogger(ROOT).removeHandler(self)
        try:
            lines = [_drop_repeated_traceback(line, response.body) for line in self._lines]
            text = Encoder(separators=(",", ":")).encode(lines)
        except Exception:
            return response
        if len(text) >= _LIMIT:
            return response
        return response._replace(headers={**response.headers, LOGS: text})


def _read_message(record: logging.LogRecord) -> str:
    """Return a line's message; of one whose values do not fit its text, what is wrong, as no handler fails of a log."""
    try:
        return record.getMessage()
    except Exception as error:
        return f"A line of the log is lost: {format_exception_only(error)[-1].rstrip()}"


def _drop_repeated_traceback(line: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Return a line without its traceback where the response's body has it already."""
    trace = line.get(TRACEBACK)
    if isinstance(trace, str) and trace and trace.encode(errors="replace") in body:
        return {name: value for name, value in line.items() if name != TRACEBACK}
    return line
