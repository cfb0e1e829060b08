"""Nuclio's console log: one line for each record, on standard output.

    26.01.31 10:11:12.345 (I)  sor.http.w0.python.logger message {"worker_id":"0"}

The date, the level's letter, the last 25 characters of the logger's name, the message, and what was logged with it.
"""

import json
import logging
import sys
import time

from nuclio_sdk import Logger
from nuclio_sdk.json_encoder import Encoder

# The field of a record whose text is written below its line, not into it.
TRACEBACK = "traceback"

_NAME_WIDTH = 25
_LETTERS = {logging.DEBUG: "D", logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "E"}
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
        letter = _LETTERS.get(record.levelno, "D")
        name = self._name
        if self._coloured:
            letter, name = f"{_COLOURS[letter]}{letter}{_PLAIN}", f"{_NAME_COLOUR}{name}{_PLAIN}"
        line = f"{self._time(record)} ({letter}) {name} {record.getMessage()}"
        fields = dict(getattr(record, "with", None) or {})
        trace = fields.pop(TRACEBACK, "")
        if fields:
            line += " " + self._encode(fields)
        return f"{line}\n{trace.rstrip()}" if trace else line

    def _time(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if self._second[0] != second:
            self._second = (second, time.strftime("%y.%m.%d %H:%M:%S", time.localtime(second)))
        return f"{self._second[1]}.{int(record.msecs):03d}"

    def _encode(self, fields: dict[str, object]) -> str:
        try:
            return str(self._encoder.encode(fields))
        except (TypeError, ValueError):
            return json.dumps({str(name): repr(value) for name, value in fields.items()})


def open_logger(name: str, level: int) -> Logger:
    """Return a logger of nuclio-sdk that writes the console's lines under a name."""
    logger = Logger(level, name="nuclio")
    logger.set_handler("console", sys.stdout, ConsoleFormatter(name, coloured=sys.stdout.isatty()))
    inner = logging.getLogger("nuclio")
    # nuclio-sdk passes records of every level on to the handlers.
    for handler in inner.handlers:
        handler.setLevel(level)
    # Handlers of a user's root logger would print each line a second time.
    inner.propagate = False
    return logger


def prepare_output() -> None:
    """Make each line of print() and of the logs leave at once, and keep libraries from logging what is told anyway."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    logging.getLogger("pika").setLevel(logging.CRITICAL)
