"""Queries for people who want to see what an alert sees: the value that it compares, and where it would have fired."""

from collections.abc import Mapping

from stack.config.alert import Alert
from stack.config.data import Data
from stack.contract import ESCALATION
from stack.plan.alert import ADDED, escape_pattern, write_looked_at
from stack.plan.store import quote


def find_own_labels(alert: Alert, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an alert that fires that are those of its series."""
    added = {*ADDED, ESCALATION, *alert.config.labels}
    return {name: value for name, value in sorted(labels.items()) if name not in added}


def write_value_query(alert: Alert, data: Data, *, labels: Mapping[str, str] | None = None) -> str:
    """Write the query of what an alert looks at, with these labels.

    Raises:
        ConfigError: no rule of data.keep keeps what is to be silent.
    """
    query = write_looked_at(alert, data)
    for name, value in (labels or {}).items():
        query = f"label_match({query}, {quote(name)}, {quote(escape_pattern(value))})"
    return query
