"""Finds the entry of a trigger's kind, by the table of `stack/contract.py`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from stack.config.trigger.registry import kind_of
from stack.contract import KINDS as MODULES
from stack.plan.trigger.kind import TriggerKind

KINDS: Mapping[str, TriggerKind[Any]] = {
    kind: import_module(f"stack.plan.trigger.{module}").KIND for kind, module in MODULES.items()
}


def find_kind(trigger: Any) -> TriggerKind[Any]:
    """Return the kind of a trigger, parsed or as it stands in a file.

    Raises:
        KeyError: it is of a kind that is not supported.
    """
    return KINDS[kind_of(trigger)]
