"""Warnings of what was written and has no effect, or another than was meant."""

from collections.abc import Iterable
from functools import cache
from itertools import chain

from stack import console
from stack.config.inert import find_inert
from stack.config.scaling import find_unheeded
from stack.config.source import Function
from stack.plan.loopback import find_loopback


def warn_inert(functions: Iterable[Function]) -> None:
    """Name each key that has no effect, or a wrong one, once in a task, however often the task reads the functions."""
    for function in functions:
        spec = function.config.spec
        unheeded = find_unheeded(spec.scale_to_zero, spec.auto_scale_metrics, spec.bounds)
        for line in chain(find_inert(function.config), unheeded, find_loopback(spec)):
            warn_once(f"{function.document}: {line}.")


@cache
def warn_once(message: str) -> None:
    """Warn of something once in a task, however often it is met."""
    console.warn(message)
