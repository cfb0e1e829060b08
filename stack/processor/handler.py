"""The user's handler: found by name, prepared, and called."""

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Handler = Callable[[Any, Any], Any]

# Nuclio's pattern: module(.sub)*:function, where names may also hold `-` and `|`.
_NAME = re.compile(r"[\w|-]+(\.[\w|-]+)*(:\w+)?")

# Beginnings of the files whose frames say nothing about the user's code.
_NOT_THE_USERS = (str(Path(__file__).parent), str(importlib.__file__), "<frozen importlib")


class HandlerError(Exception):
    """The handler cannot be found or imported; the message says why and what there is."""


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
    """Return the traceback of an error from the user's code onwards, without the processor's own frames."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


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
