"""Finds the entry of a function's runtime, by the table of `stack/contract.py`."""

from functools import cache
from importlib import import_module

from stack.contract import RUNTIMES
from stack.processor.attributes import ConfigurationError
from stack.processor.runtime.runtime import Runtime


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
