"""What a form asks for: one field for each key of a model, read from its JSON Schema."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

import yaml

from stack.config.document import Document
from stack.config.schema import describe_document
from stack.config.yaml_loader import parse_mapping
from stack.errors import ConfigError

# How a key begins to be described that has no effect here (config/document.py).
_INERT = "This key "
_SECRETS = frozenset({"password"})
_LONG = frozenset({"body", "caCert", "clientCertificate", "clientKey"})
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_UPPER = {"Url": "URL", "Qos": "QoS", "Id": "ID", "Cors": "CORS", "Http": "HTTP", "Ca": "CA", "Num": "number of"}


class Kind(StrEnum):
    """What a field looks like."""

    TEXT = "text"
    LONG = "long"
    SECRET = "secret"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    LINES = "lines"
    """A list of texts, one a line."""
    TABLE = "table"
    """A list of mappings, one a row."""
    YAML = "yaml"
    """Anything else."""


@dataclass(frozen=True)
class Field:
    """One key; the path begins at the model."""

    path: tuple[str, ...]
    kind: Kind
    hint: str = ""
    default: Any = None
    is_required: bool = False
    is_inert: bool = False
    choices: tuple[Any, ...] = ()
    columns: tuple["Field", ...] = ()

    @property
    def key(self) -> str:
        """Return the key as a file spells it."""
        return self.path[-1]

    @property
    def label(self) -> str:
        """Return the key in words."""
        return say_key(self.key)


def say_key(key: str) -> str:
    """Return a key in words, as `Exchange name` for exchangeName."""
    words = [_UPPER.get(word.capitalize(), word.lower()) for word in _WORDS.split(key)]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


@cache
def list_fields(model: type[Document]) -> tuple[Field, ...]:
    """List the fields of a model and of the models within it, in the order in which they are written there."""
    schema = describe_document(model)
    return tuple(_list(schema, schema, path=()))


def _list(schema: Mapping[str, Any], root: Mapping[str, Any], *, path: tuple[str, ...]) -> Iterator[Field]:
    required = schema.get("required", ())
    for key, given in schema["properties"].items():
        found = _resolve(given, root)
        if found.get("type") == "object" and "properties" in found:
            is_inert = str(given.get("description", "")).startswith(_INERT)
            yield from (
                replace(one, is_inert=is_inert or one.is_inert) for one in _list(found, root, path=(*path, key))
            )
        else:
            yield _describe((*path, key), found, root, is_required=key in required)


def _describe(path: tuple[str, ...], schema: Mapping[str, Any], root: Mapping[str, Any], *, is_required: bool) -> Field:
    hint = str(schema.get("description", ""))
    kind, choices = _choose(path[-1], schema)
    columns: tuple[Field, ...] = ()
    if kind is Kind.TABLE:
        columns = tuple(_list(_resolve(schema["items"], root), root, path=()))
        hint = "" if hint == schema["items"].get("description") else hint
    return Field(
        path,
        kind,
        hint="" if hint.startswith(_INERT) else hint,
        default=schema.get("default"),
        is_required=is_required,
        is_inert=hint.startswith(_INERT),
        choices=choices,
        columns=columns,
    )


def _choose(key: str, schema: Mapping[str, Any]) -> tuple[Kind, tuple[Any, ...]]:
    kinds = schema.get("type", ())
    if "enum" in schema:
        return Kind.CHOICE, tuple(schema["enum"])
    if schema.get("is_optional") and kinds == "boolean":
        return Kind.CHOICE, (None, True, False)
    if kinds == "array":
        return _choose_list(schema), ()
    if "string" in kinds and kinds != "object":
        return (Kind.SECRET if key in _SECRETS else Kind.LONG if key in _LONG else Kind.TEXT), ()
    found = {"boolean": Kind.FLAG, "integer": Kind.NUMBER, "number": Kind.NUMBER}
    return found.get(kinds if isinstance(kinds, str) else "", Kind.YAML), ()


def _choose_list(schema: Mapping[str, Any]) -> Kind:
    items = schema.get("items", {})
    if "$ref" in items:
        return Kind.TABLE
    return Kind.LINES if "string" in items.get("type", ()) else Kind.YAML


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a schema means without references, and without null beside it; its own words win."""
    members: Sequence[Mapping[str, Any]] = schema.get("anyOf", ())
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "$ref")}
    if any(one.get("type") == "null" for one in members) and len(members) == 2:
        inner = next(one for one in members if one.get("type") != "null")
        return {**_resolve(inner, root), **rest, "is_optional": rest.get("default", "") is None}
    if "$ref" in schema:
        return {**root["$defs"][schema["$ref"].rpartition("/")[2]], **rest}
    return {**schema, "type": _without_null(schema["type"])} if "type" in schema else schema


def _without_null(kinds: str | Sequence[str]) -> str | Sequence[str]:
    """Return the types of a schema without null, by which a key is left out."""
    if isinstance(kinds, str):
        return kinds
    others = [one for one in kinds if one != "null"]
    return others[0] if len(others) == 1 else others


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


def get_field(document: Any, path: Sequence[str]) -> tuple[Any, bool]:
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
        return [{one.key: show_value(one, get_field(row, one.path)[0]) for one in field.columns} for row in rows]
    if value is None:
        return ""
    if field.kind is Kind.LINES and isinstance(value, list):
        return "\n".join(str(item) for item in value)
    if field.kind is Kind.YAML or isinstance(value, dict | list):
        return "" if value in ({}, []) else yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n")
    return str(value).lower() if isinstance(value, bool) else str(value)


def find_change(field: Field, document: Any, *, name: str, sent: Sent) -> Change | None:
    """Return what a form says about a field that its document does not say yet; `name` is the field's in the form.

    Raises:
        WrongValueError: what was typed cannot be read.
    """
    value, is_there = get_field(document, field.path)
    shown = show_value(field, value if is_there else field.default)
    typed = _read_typed(field, name, sent=sent)
    if typed == (_without_ends(shown) if isinstance(shown, str) else shown):
        return None
    made = _make(field, typed)
    if made is None or (made == field.default and not field.is_required):
        return Change(field.path, is_removal=True) if is_there else None
    return Change(field.path, made)


def _read_typed(field: Field, name: str, *, sent: Sent) -> Any:
    """Return what a form says in the shape in which it was shown."""
    if field.kind is Kind.FLAG:
        return name in sent
    if field.kind is Kind.TABLE:
        return [row for row in _read_rows(field, name, sent=sent) if any(row[key] for key in _telling(field))]
    return _without_ends(next(iter(sent.get(name, ())), ""))


def _read_rows(field: Field, name: str, *, sent: Sent) -> Iterator[dict[str, Any]]:
    pattern = re.compile(rf"{re.escape(name)}\.(\d+)\.")
    numbers = {int(match[1]) for key in sent if (match := pattern.match(key))}
    for number in sorted(numbers):
        yield {one.key: _read_typed(one, f"{name}.{number}.{one.key}", sent=sent) for one in field.columns}


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
