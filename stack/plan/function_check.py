"""What is wrong with the text of a function's file, as far as the text alone tells."""

import ast

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.place import Finding, find_places
from stack.config.reading import parse_mapping
from stack.config.source import FILE
from stack.errors import ConfigError


def check_text(path: str, text: str) -> tuple[Finding, ...]:
    """Return the problems of a file's text: a configuration's, or where Python cannot read it; else nothing."""
    if path == FILE:
        return _check_configuration(text)
    return _check_python(path, text) if path.endswith(".py") else ()


def _check_configuration(text: str) -> tuple[Finding, ...]:
    try:
        parse_model(FunctionConfig, parse_mapping(text, FILE), FILE)
    except ConfigError as error:
        return find_places(text, error.problems, FILE)
    return ()


def _check_python(path: str, text: str) -> tuple[Finding, ...]:
    """Read a source as this machine's own Python does, without running it."""
    try:
        ast.parse(text, path)
    except SyntaxError as error:
        return (Finding("", error.msg, error.lineno or 1, max((error.offset or 1) - 1, 0)),)
    except (ValueError, RecursionError, MemoryError) as error:
        return (Finding("", f"Python cannot read it: {error}", 1, 0),)
    return ()
