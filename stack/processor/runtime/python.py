"""Python: the handler is a function of a module, called in the worker itself; and what is said of it when it fails."""

import ast
import importlib
import inspect
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from stack.processor.event import read_form
from stack.processor.runtime.registry import DEBUG_HOST, NO_TEXT, Handler, HandlerError, Runtime, shorten_origin

# Nuclio's pattern: module(.sub)*:function, where names may also hold `-` and `|`.
_NAME = re.compile(r"[\w|-]+(\.[\w|-]+)*(:\w+)?")

# Seconds until a port has to be free, and between two tries.
_PORT_PATIENCE, _PORT_PAUSE = 10.0, 0.2

# Beginnings of the files whose frames say nothing about the user's code.
_PROCESSOR = Path(__file__).parents[1]
_NOT_THE_USERS = (str(_PROCESSOR), str(importlib.__file__), "<frozen importlib")


def load_handler(name: str, folder: Path) -> Handler:
    """Import the handler called `module:function`; the function is `handler` where the name has none.

    Raises:
        HandlerError: the name is malformed, the module cannot be imported, or has no such callable.
    """
    if not _NAME.fullmatch(name):
        raise HandlerError(f"spec.handler: {name!r} should be module:function, such as main:handler")
    module_name, _, function_name = name.partition(":")
    module = _import(module_name, folder)
    handler = getattr(module, function_name or "handler", None)
    if not callable(handler):
        raise HandlerError(_describe_missing(name, module))
    return handler  # type: ignore[no-any-return]


def find_init_context(handler: Handler) -> Callable[[Any], Any] | None:
    """Return `init_context` of the handler's module; None where there is none."""
    module = sys.modules.get(getattr(handler, "__module__", ""))
    prepare = getattr(module, "init_context", None)
    return prepare if callable(prepare) else None


def is_async(handler: Handler) -> bool:
    """Return whether calling the handler gives a coroutine, or an async generator."""
    functions = (handler, type(handler).__call__)
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in functions)


def format_user_traceback(error: BaseException) -> str:
    """Return the traceback of an error from the user's code onwards, without the processor's own frames at its ends."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frames = frames.tb_next
    found = traceback.TracebackException(type(error), error, frames)
    while found.stack and found.stack[-1].filename.startswith(_NOT_THE_USERS[0]):
        # The last are of what the user's code has called, such as an output that there is not.
        found.stack.pop()
    return "".join(found.format()).rstrip()


def _import(module_name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise HandlerError(_describe_unknown(module_name, folder)) from None
        raise HandlerError(_describe_broken(module_name, folder, error)) from None
    except BaseException as error:
        raise HandlerError(_describe_broken(module_name, folder, error)) from None


def _describe_unknown(module_name: str, folder: Path) -> str:
    found = sorted(path.stem for path in folder.glob("*.py")) if folder.is_dir() else []
    return (
        f"spec.handler: there is no module {module_name!r} in {folder}; "
        f"modules there: {', '.join(found) if found else 'none'}"
    )


def _describe_broken(module_name: str, folder: Path, error: BaseException) -> str:
    return f"the module {module_name!r} in {folder} cannot be imported:\n{format_user_traceback(error)}"


def _describe_missing(name: str, module: ModuleType) -> str:
    found = sorted(
        key
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )
    return (
        f"spec.handler: {name!r}: {module.__file__} has no callable of that name; "
        f"callables there: {', '.join(found) if found else 'none'}"
    )


# Files that are not the user's: the processor's, Python's, what is made at run time, and installed libraries.
_NOT_OWN_FILES = (f"{_PROCESSOR}/", f"{Path(inspect.__file__).parent}/", "<")
_LIBRARIES = ("/site-packages/", "/dist-packages/")
# What makes an event fails before the handler is called.
_EVENT_FILE = str(_PROCESSOR / "event.py")
# Lines that are named where it is not known which of them made a response.
_CANDIDATES = 5


def format_trace(error: BaseException, handler: Handler) -> str:
    """Return the traceback of an error from the user's code onwards.

    What the handler returned is judged when its frames are gone; then the lines that may have made it are named.
    """
    try:
        trace = format_user_traceback(error)
        if _find_own_line(error.__traceback__) or _is_of_event(error.__traceback__):
            return trace
        return f"{_find_response(handler)}{trace}"
    except BaseException:
        return f"{type(error).__name__}: {NO_TEXT}"


def describe_origin(error: BaseException, trace: str) -> str:
    """Return the handler's own line, and below it the whole traceback, the middle of a long one left out."""
    own = _find_own_line(error.__traceback__)
    return shorten_origin(f"{own}\n{trace}" if own else trace)


def _find_own_line(frames: TracebackType | None) -> str:
    """Return the innermost line of a traceback that is in a file of the user's; nothing if there is none."""
    own = [frame for frame in traceback.extract_tb(frames) if _is_the_users(frame.filename)]
    return f'File "{own[-1].filename}", line {own[-1].lineno}, in {own[-1].name}' if own else ""


def _is_of_event(frames: TracebackType | None) -> bool:
    return any(frame.filename == _EVENT_FILE for frame in traceback.extract_tb(frames))


def _is_the_users(file: str) -> bool:
    return not file.startswith(_NOT_OWN_FILES) and not any(folder in file for folder in _LIBRARIES)


def _find_response(handler: Handler) -> str:
    """Return the lines of the handler's file that make a response, as a traceback shows lines; nothing if none does."""
    with suppress(OSError, SyntaxError, TypeError, ValueError):
        file = inspect.getsourcefile(inspect.unwrap(handler)) or ""
        source = Path(file).read_text()
        numbers = sorted({node.lineno for node in _find_makers(ast.parse(source))})[:_CANDIDATES]
        lines = source.splitlines()
        shown = "".join(f'  File "{file}", line {number}\n    {lines[number - 1].strip()}\n' for number in numbers)
        return f"The response was made at{' one of' if len(numbers) > 1 else ''}\n{shown}" if shown else ""
    return ""


def _find_makers(tree: ast.AST) -> Sequence[ast.Call | ast.Return]:
    """Return the calls of Response whose headers are a text, else all calls of Response, else what is returned."""
    nodes = list(ast.walk(tree))
    calls = [node for node in nodes if isinstance(node, ast.Call) and _is_response(node.func)]
    suspects = [call for call in calls if call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)]
    return suspects or calls or [node for node in nodes if isinstance(node, ast.Return) and node.value]


def _is_response(called: ast.expr) -> bool:
    return "Response" in (getattr(called, "attr", ""), getattr(called, "id", ""))


def start_debugger(port: int, waits: bool) -> None:
    """Listen for a debugger; the port may be that of a process which is about to end.

    Raises:
        HandlerError: debugpy is not installed, or the port is taken.
    """
    # Or it warns of Python's own modules, which no one wants to step through.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    deadline = time.monotonic() + _PORT_PATIENCE
    while True:
        try:
            debugpy = importlib.import_module("debugpy")
            debugpy.listen((DEBUG_HOST, port))
            break
        except (ImportError, RuntimeError, OSError) as error:
            if time.monotonic() > deadline or isinstance(error, ImportError):
                raise HandlerError(f"no debugger can attach to port {port}: {error}") from None
            time.sleep(_PORT_PAUSE)
    if waits:
        debugpy.wait_for_client()


RUNTIME = Runtime(
    load_handler,
    find_init_context,
    is_async,
    format_user_traceback,
    format_trace,
    describe_origin,
    read_form,
    start_debugger,
)
