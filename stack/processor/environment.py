"""The environment of a worker: the function's variables and Nuclio's own."""

import os
import sys

from stack.processor.configuration import Function

# The package that this program is in, whose name a module of the user's may have too.
_PACKAGE = "stack"


def apply_environment(function: Function) -> None:
    """Set the function's variables and those that Nuclio gives to every worker, and make the user's files importable.

    The files come before all other modules, here and in programs that the function starts.
    """
    os.environ.update(function.environment)
    os.environ["NUCLIO_FUNCTION_NAME"] = function.name
    os.environ["NUCLIO_FUNCTION_DESCRIPTION"] = function.description
    os.environ["NUCLIO_FUNCTION_VERSION"] = function.version
    os.environ["NUCLIO_FUNCTION_HANDLER"] = function.handler
    os.environ["NUCLIO_HANDLER"] = function.handler
    folder = str(function.folder)
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}:{others}" if others else folder
    sys.path.insert(0, folder)
    if any((function.folder / name).exists() for name in (_PACKAGE, f"{_PACKAGE}.py")):
        # What the processor still imports is found by the name of its own package, and not by this one.
        sys.modules.pop(_PACKAGE, None)
