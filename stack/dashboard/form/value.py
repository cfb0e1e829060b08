"""The values of fields: as a form shows them, and as a document has them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from stack.config.reading import parse_mapping
from stack.dashboard.form.field import Field, Kind
from stack.errors import ConfigError

# What a form sends: each name with its values.
Sent = Mapping[str, Sequence[str]]

_NUMBER = re.compile(r"[-+]?\d+")


@dataclass(frozen=True)
class Change:
    """A key that is to have another value, or is to go."""

    path: tuple[str, ...]
    value: Any = None
    is_removal: bool = False


class WrongValueError(ValueError):
    """What was typed cannot be read at all, so that no model can judge it."""


def look_up(document: Any, path: Sequence[str]) -> tuple[Any, bool]:
    """Return what a document has under a path, whatever the keys' case, and whether it has anything."""
    for key in path:
        if not isinstance(document, dict):
            return None, False
        known = next((one for one in document if str(one).lower() == key.lower()), None)
        if known is None:
            return None, False
        document = document[known]
    return document, True


def show_value(field: Field, value: Any) -> Any:
    """Return what a form shows for a value: a text, a truth value of a flag, or the rows of a table."""
    if field.kind is Kind.FLAG:
        return value is True
    if field.kind is Kind.TABLE:
        rows = value if isinstance(value, list) else []
        return [{one.key: show_value(one, look_up(row, one.path)[0]) for one in field.columns} for row in rows]
    if value is None:
        return ""
    if field.kind is Kind.LINES and isinstance(value, list):
        return "\n".join(str(item) for item in value)
    if field.kind is Kind.YAML or isinstance(value, dict | list):
        return "" if value in ({}, []) else yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n")
    return str(value).lower() if isinstance(value, bool) else str(value)


def find_change(field: Field, document: Any, name: str, sent: Sent) -> Change | None:
    """Return what a form says about a field that its document does not say yet; `name` is the field's in the form.

    Raises:
        WrongValueError: what was typed cannot be read.
    """
    value, is_there = look_up(document, field.path)
    shown = show_value(field, value if is_there else field.default)
    typed = _read_typed(field, name, sent)
    if typed == (_without_ends(shown) if isinstance(shown, str) else shown):
        return None
    made = _make(field, typed)
    if made is None or (made == field.default and not field.is_required):
        return Change(field.path, is_removal=True) if is_there else None
    return Change(field.path, made)


def _read_typed(field: Field, name: str, sent: Sent) -> Any:
    """Return what a form says in the shape in which it was shown."""
    if field.kind is Kind.FLAG:
        return name in sent
    if field.kind is Kind.TABLE:
        return [row for row in _read_rows(field, name, sent) if any(row[key] for key in _telling(field))]
    return _without_ends(next(iter(sent.get(name, ())), ""))


def _read_rows(field: Field, name: str, sent: Sent) -> Iterator[dict[str, Any]]:
    pattern = re.compile(rf"{re.escape(name)}\.(\d+)\.")
    numbers = {int(match[1]) for key in sent if (match := pattern.match(key))}
    for number in sorted(numbers):
        yield {one.key: _read_typed(one, f"{name}.{number}.{one.key}", sent) for one in field.columns}


def _telling(field: Field) -> list[str]:
    """Return the columns without which a row is empty: those that have no default to fall back on."""
    return [one.key for one in field.columns if one.is_required] or [one.key for one in field.columns]


def _make(field: Field, typed: Any) -> Any:
    """Return the value of what was typed; None if it stands for nothing."""
    if field.kind is Kind.TABLE:
        rows = [{one.key: _make(one, row[one.key]) for one in field.columns} for row in typed]
        return [{key: value for key, value in row.items() if value is not None} for row in rows]
    if field.kind is Kind.FLAG:
        return typed
    if typed == "":
        return None
    if field.kind is Kind.NUMBER:
        # What is no number is left as it is: the model says what is wrong with it.
        return int(typed) if _NUMBER.fullmatch(typed) else typed
    if field.kind is Kind.CHOICE:
        return next((one for one in field.choices if show_value(field, one) == typed), typed)
    if field.kind is Kind.LINES:
        return [line.strip() for line in typed.splitlines() if line.strip()]
    return _read_yaml(typed) if field.kind is Kind.YAML else typed


def _read_yaml(text: str) -> Any:
    """Read what stands in a field of its own; it is wrapped, since a document begins with a mapping."""
    wrapped = "x:\n" + "\n".join(f"  {line}" for line in text.splitlines())
    try:
        return parse_mapping(wrapped, "")["x"]
    except ConfigError as error:
        reason = error.problems[0].removeprefix(": ")
        raise WrongValueError(f"is no YAML: {re.sub(r'^line [0-9]+, column [0-9]+: ', '', reason)}") from error


def _without_ends(text: str) -> str:
    """Return a text with the line ends of Unix, and without those at its end."""
    return text.replace("\r\n", "\n").rstrip("\n")
