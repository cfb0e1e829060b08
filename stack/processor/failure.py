"""What is said of a handler that failed: its error in a line, its own line, and the whole traceback."""

import ast
import inspect
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from stack.processor.handler import Handler, format_user_traceback

# Characters of an error, and of where it was raised, that travel in the headers of a message.
_ERROR_LIMIT, _ORIGIN_LIMIT = 1000, 4000
_CUT = "\n  …\n"
_NO_TEXT = "(it has no text that can be shown)"
# Files that are not the user's: the processor's, Python's, what is made at run time, and installed libraries.
_NOT_THE_USERS = (f"{Path(__file__).parent}/", f"{Path(inspect.__file__).parent}/", "<")
_LIBRARIES = ("/site-packages/", "/dist-packages/")
# Lines that are named where it is not known which of them made a response.
_CANDIDATES = 5


def describe_error(error: BaseException) -> str:
    """Return an error in a line that fits a message's header."""
    return f"{type(error).__name__}: {show_error(error)}"[:_ERROR_LIMIT]


def show_error(error: BaseException) -> str:
    """Return an error's text, also where the user's own class fails to make one."""
    try:
        return str(error)
    except BaseException:
        return _NO_TEXT


def format_trace(error: BaseException, handler: Handler) -> str:
    """Return the traceback of an error from the user's code onwards.

    What the handler returned is judged when its frames are gone; then the lines that may have made it are named.
    """
    try:
        trace = format_user_traceback(error)
        return trace if _find_own_line(error.__traceback__) else f"{_find_response(handler)}{trace}"
    except BaseException:
        return f"{type(error).__name__}: {_NO_TEXT}"


def describe_origin(error: BaseException, trace: str) -> str:
    """Return the handler's own line, and below it the whole traceback, the middle of a long one left out."""
    own = _find_own_line(error.__traceback__)
    text = f"{own}\n{trace}" if own else trace
    if len(text) <= _ORIGIN_LIMIT:
        return text
    half = (_ORIGIN_LIMIT - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]


def _find_own_line(frames: TracebackType | None) -> str:
    """Return the innermost line of a traceback that is in a file of the user's; nothing if there is none."""
    own = [frame for frame in traceback.extract_tb(frames) if _is_the_users(frame.filename)]
    return f'File "{own[-1].filename}", line {own[-1].lineno}, in {own[-1].name}' if own else ""


def _is_the_users(file: str) -> bool:
    return not file.startswith(_NOT_THE_USERS) and not any(folder in file for folder in _LIBRARIES)


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
