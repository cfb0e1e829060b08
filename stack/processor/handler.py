"""What every handler is to a worker, whatever its runtime, and how its errors are told."""

from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, Any], Any]

# Characters of an error that travel in the headers of a message.
_ERROR_LIMIT = 1000
NO_TEXT = "(it has no text that can be shown)"


class HandlerError(Exception):
    """The handler cannot be found or imported; the message says why and what there is."""


def describe_error(error: BaseException) -> str:
    """Return an error in a line that fits a message's header."""
    return f"{type(error).__name__}: {show_error(error)}"[:_ERROR_LIMIT]


def show_error(error: BaseException) -> str:
    """Return an error's text, also where the user's own class fails to make one."""
    try:
        return str(error)
    except BaseException:
        return NO_TEXT
