"""Runtimes: how each loads a handler and tells its errors, found by the table of `stack/contract.py`.

A worker is a Python process whatever the runtime. What it loads is a callable, which gets a context and an event and
returns a response: the function's own in Python, and else one that hands both to a process of the other runtime.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from stack.contract import RUNTIMES
from stack.processor.attributes import ConfigurationError
from stack.processor.event import EventForm

Handler = Callable[[Any, Any], Any]

# Characters of an error, and of where it was raised, that travel in the headers of a message.
_ERROR_LIMIT, _ORIGIN_LIMIT = 1000, 4000
_CUT = "\n  …\n"
# Where debuggers attach: what can do so can do all that the function can.
DEBUG_HOST = "127.0.0.1"
NO_TEXT = "(it has no text that can be shown)"


class HandlerError(Exception):
    """The handler cannot be found or imported; the message says why and what there is."""


class ForeignError(Exception):
    """An error of another language's: the name of its class, its text, and its stack, which begins with both."""

    def __init__(self, name: str, text: str, stack: str) -> None:
        super().__init__(text)
        self.name = name
        self.stack = stack

    @property
    def shown(self) -> str:
        """The stack, or else, where there is none, what it would begin with."""
        return self.stack or f"{self.name}: {self}"


def describe_error(error: BaseException) -> str:
    """Return an error in a line that fits a message's header."""
    name = error.name if isinstance(error, ForeignError) else type(error).__name__
    return f"{name}: {show_error(error)}"[:_ERROR_LIMIT]


def show_error(error: BaseException) -> str:
    """Return an error's text, also where the user's own class fails to make one."""
    try:
        return str(error)
    except BaseException:
        return NO_TEXT


def shorten_origin(text: str) -> str:
    """Return where an error was raised, the middle of a long traceback left out."""
    if len(text) <= _ORIGIN_LIMIT:
        return text
    half = (_ORIGIN_LIMIT - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]


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
    open_form: Callable[[], EventForm]
    """Returns in what form handlers get events."""
    start_debugger: Callable[[int, bool], None]
    """Has what is loaded from now on in this process listen for a debugger on a port, and perhaps wait for it."""
    failed: str = 'Exception caught in handler - "{error}": {trace}'
    """What a client is told of an error, as Nuclio words it."""


@cache
def find_runtime(name: str) -> Runtime:
    """Return a runtime; its module is imported only where functions have it.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name not in RUNTIMES:
        raise ConfigurationError(f"spec.runtime: {name!r} is not supported; supported: {', '.join(RUNTIMES)}")
    runtime: Runtime = import_module(f"stack.processor.runtime.{name}").RUNTIME
    return runtime
