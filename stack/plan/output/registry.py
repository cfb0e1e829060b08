"""Finds the entry of an output's kind, by the table of `stack/contract.py`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from stack.config.output.registry import kind_of
from stack.contract import OUTPUTS
from stack.plan.output.kind import OutputKind

KINDS: Mapping[str, OutputKind[Any]] = {
    kind: import_module(f"stack.plan.output.{module}").KIND for kind, module in OUTPUTS.items()
}


def find_kind(output: Any) -> OutputKind[Any]:
    """Return the kind of an output."""
    return KINDS[kind_of(output)]
