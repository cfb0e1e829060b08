"""Node.js: the handler is in a process of its own, where nodejs.cjs takes events for it; and what is said of errors."""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stack.processor.event import EventForm
from stack.processor.runtime.process import HandlerProcess
from stack.processor.runtime.registry import (
    DEBUG_HOST,
    ForeignError,
    Handler,
    HandlerError,
    Runtime,
    describe_error,
    shorten_origin,
)

# Nuclio's pattern: a file below the function's folder, and the name of an export.
_NAME = re.compile(r"(?P<file>[\w./\\-]+)(:(?P<export>[\w$]+))?")
_DEFAULT_FILE = "handler"
# Nuclio's variable that names the program.
_PROGRAM = "NUCLIO_NODEJS_EXE"
_WRAPPER = Path(__file__).with_suffix(".cjs")
# A line of a stack, which names a file; libraries are below this folder.
_FRAME, _LIBRARIES = re.compile(r"^ *at (?P<place>.*/.*:\d+:\d+\)?)$", re.MULTILINE), "/node_modules/"


def load_handler(name: str, folder: Path) -> Handler:
    """Start Node.js with the handler called `file:export`; one part alone is an export of handler.js.

    Raises:
        HandlerError: the name is malformed, the file cannot be loaded, or has no such export.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise HandlerError(f"spec.handler: {name!r} should be file:export, such as main:handler")
    file, export = (match["file"], match["export"]) if match["export"] else (_DEFAULT_FILE, match["file"])
    hello = {"folder": str(folder), "file": file, "name": export}
    try:
        return HandlerProcess([os.environ.get(_PROGRAM) or "node", str(_WRAPPER)], hello)
    except HandlerError as error:
        raise HandlerError(f"spec.handler: {name!r} cannot be loaded from {folder}:\n{error}") from None


def find_init_context(handler: Handler) -> Callable[[Any], Any]:
    """Return what has the module's initContext called, if there is one."""
    assert isinstance(handler, HandlerProcess)
    return handler.init_context


def format_user_traceback(error: BaseException) -> str:
    """Return the stack of an error; one of the processor's own has none that says anything to an author."""
    return error.shown if isinstance(error, ForeignError) else describe_error(error)


def format_trace(error: BaseException, _handler: Handler) -> str:
    """Return the same of an error of the handler, or of what it answered."""
    return format_user_traceback(error)


def describe_origin(_error: BaseException, trace: str) -> str:
    """Return the innermost line of a stack that is in no library, and below it the stack."""
    own = next((frame["place"] for frame in _FRAME.finditer(trace) if _LIBRARIES not in frame["place"]), "")
    return shorten_origin(f"at {own}\n{trace}" if own else trace)


def start_debugger(port: int, waits: bool) -> None:
    """Have Node.js listen for a debugger, by the options that it takes from the environment."""
    option = f"--inspect{'-wait' if waits else ''}={DEBUG_HOST}:{port}"
    os.environ["NODE_OPTIONS"] = f"{os.environ.get('NODE_OPTIONS', '')} {option}".strip()


RUNTIME = Runtime(
    load_handler,
    find_init_context,
    lambda _handler: False,
    format_user_traceback,
    format_trace,
    describe_origin,
    # Bodies are bytes whatever their type, and names of headers text in any case.
    partial(EventForm, "replace", decode=lambda body, _content_type: body),
    start_debugger,
    failed="Error in handler: {error}\n{trace}",
)
