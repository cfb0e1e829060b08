"""What the processor does differently for one runtime than for another: how a handler is loaded, and its errors told.

A worker is a Python process whatever the runtime. What it loads is a callable, which gets a context and an event and
returns a response: the function's own in Python, and else one that hands both to a process of the other runtime.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.processor.handler import Handler


@dataclass(frozen=True)
class Runtime:
    """One runtime, `RUNTIME` of its module."""

    load_handler: Callable[[str, Path], Handler]
    """Returns the handler of a name, such as main:handler, from a folder; raises HandlerError."""
    find_init_context: Callable[[Handler], Callable[[Any], Any] | None]
    """Returns what prepares the context before the first event; None where there is nothing."""
    is_async: Callable[[Handler], bool]
    """Returns whether calling the handler gives a coroutine, or an async generator."""
    format_user_traceback: Callable[[BaseException], str]
    """Returns the traceback of an error from the user's code onwards."""
    format_trace: Callable[[BaseException, Handler], str]
    """Returns the same of an error of the handler, or of what it returned."""
    describe_origin: Callable[[BaseException, str], str]
    """Returns the user's own line, and below it the traceback, so much of it as fits into a message's header."""
