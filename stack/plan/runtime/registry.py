"""Finds the entry of a function's runtime, by the table of `stack/config/runtime.py`."""

from collections.abc import Mapping
from importlib import import_module

from stack.config.runtime import RUNTIMES as FILES
from stack.config.runtime import name_runtime
from stack.plan.image import RuntimeVersion
from stack.plan.runtime.runtime import Runtime

RUNTIMES: Mapping[str, Runtime] = {name: import_module(f"stack.plan.runtime.{name}").RUNTIME for name in FILES}


def find_runtime(text: str) -> Runtime:
    """Return the runtime that spec.runtime names, with or without a version."""
    return RUNTIMES[name_runtime(text)]


def explain_version(version: RuntimeVersion) -> str:
    """Return a sentence for a person whose function does not get the version that was asked for."""
    return RUNTIMES[version.runtime].explain_version(version)
