"""What a form asks for: one field for each key of a model, read from its JSON Schema."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

from stack.config.document import Document
from stack.config.schema import describe_document

# How a key begins to be described that has no effect here (config/inert.py).
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
    return tuple(_list(schema, schema, ()))


def _list(schema: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Field]:
    required = schema.get("required", ())
    for key, given in schema["properties"].items():
        found = _resolve(given, root)
        if found.get("type") == "object" and "properties" in found:
            is_inert = str(given.get("description", "")).startswith(_INERT)
            yield from (replace(one, is_inert=is_inert or one.is_inert) for one in _list(found, root, (*path, key)))
        else:
            yield _describe((*path, key), found, root, is_required=key in required)


def _describe(path: tuple[str, ...], schema: Mapping[str, Any], root: Mapping[str, Any], *, is_required: bool) -> Field:
    hint = str(schema.get("description", ""))
    kind, choices = _choose(path[-1], schema)
    columns: tuple[Field, ...] = ()
    if kind is Kind.TABLE:
        columns = tuple(_list(_resolve(schema["items"], root), root, ()))
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
