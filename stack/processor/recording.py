"""The log of one event, returned to the client that asked for it.

A request's header `x-nuclio-log-level` asks for the lines from a level onwards; the response's `x-nuclio-logs` has
them as a JSON array. As with Nuclio it is left out where it would be too long for a header.
"""

import logging
from typing import Any

from nuclio_sdk.json_encoder import Encoder

from stack.contract import LOGS
from stack.processor.configuration import LEVELS
from stack.processor.logger import LEVEL_NAMES, ROOT, TRACEBACK
from stack.processor.response import Response

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
            "message": record.getMessage(),
        }
        self._lines.append({**getattr(record, "with", {}), **line})

    def finish(self, response: Response) -> Response:
        """Stop, and return the response with the lines in its head, if JSON can say them and they are not too long."""
        logging.getLogger(ROOT).removeHandler(self)
        try:
            lines = [_leave_out_told(line, response.body) for line in self._lines]
            text = Encoder(separators=(",", ":")).encode(lines)
        except Exception:
            return response
        if len(text) >= _LIMIT:
            return response
        return response._replace(headers={**response.headers, LOGS: text})


def _leave_out_told(line: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Return a line without the traceback that the body tells already."""
    trace = line.get(TRACEBACK)
    if isinstance(trace, str) and trace and trace.encode(errors="replace") in body:
        return {name: value for name, value in line.items() if name != TRACEBACK}
    return line
