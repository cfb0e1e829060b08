"""The shape of a model, told in words: which keys it has, and what each should be."""

from collections.abc import Sequence
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

_WORDS: dict[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    IPv4Address: ("an IPv4 address", "IPv4 addresses"),
    IPv4Network: ("an IPv4 network such as 10.0.0.0/8", "IPv4 networks"),
    IPv6Network: ("an IPv6 network such as fd00::/8", "IPv6 networks"),
}


def known_keys(model: type[BaseModel]) -> list[str]:
    """List the keys of a model as a file spells them."""
    return [str(field.alias or name) for name, field in model.model_fields.items()]


def find_field(model: type[BaseModel], key: str) -> FieldInfo | None:
    """Find a field by the key that a file uses for it."""
    fields = model.model_fields
    return next((field for name, field in fields.items() if key in (name, field.alias)), None)


# What pydantic adds to the location of a key of a mapping that is wrong itself.
_KEY = "[key]"


def get_field(model: type[BaseModel], location: Sequence[str | int]) -> tuple[list[str], Any, type[BaseModel] | None]:
    """Follow a validation error's location into a model.

    Returns the location without the members of unions, the type expected there, and the model that holds the key.
    """
    path: list[str] = []
    annotation: Any = model
    parent: type[BaseModel] | None = None
    for number, part in enumerate(location, 1):
        if part == _KEY:
            continue
        if _is_plain_union(annotation):
            annotation = _find_member(annotation, part) if number < len(location) else annotation
            continue
        tagged = _tagged_member(annotation, part)
        if tagged is not None:
            annotation = tagged
            continue
        path.append(str(part) or "''")
        owner = model_of(annotation)
        parent = owner or parent
        annotation = step_into(annotation, part)
    return path, annotation, parent


def describe_type(annotation: Any) -> str:
    """Say in words what a value should be."""
    plain = strip_annotation(annotation)
    origin = get_origin(plain)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(plain) if choice != "")
    if isinstance(plain, type) and issubclass(plain, Enum):
        return "one of " + ", ".join(str(member.value) for member in plain)
    if origin in (list, tuple):
        return f"a list of {_plural(get_args(plain)[0])}"
    if origin is dict or model_of(plain):
        return "a mapping of keys to values"
    if origin in (Union, UnionType):
        return " or ".join(describe_type(part) for part in get_args(plain))
    return _WORDS.get(plain, ("another value", ""))[0]


def _plural(annotation: Any) -> str:
    plain = strip_annotation(annotation)
    if plain is str:
        return "strings"
    return "mappings" if model_of(plain) or get_origin(plain) is dict else _WORDS.get(plain, ("", "values"))[1]


@cache
def strip_annotation(annotation: Any) -> Any:
    """Take `Annotated` and `| None` away."""
    if get_origin(annotation) is Annotated:
        return strip_annotation(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        if len(parts) == 1:
            return strip_annotation(parts[0])
    return annotation


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a value should be, if it should be one."""
    plain = strip_annotation(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def step_into(annotation: Any, part: str | int) -> Any:
    """Return what is asked for under a key or number of a value; None where anything is."""
    plain = strip_annotation(annotation)
    model = model_of(plain)
    if model is not None:
        field = find_field(model, str(part))
        return field.annotation if field else None
    if get_origin(plain) in (list, tuple, dict):
        return get_args(plain)[-1] if get_origin(plain) is dict else get_args(plain)[0]
    return None


def _is_plain_union(annotation: Any) -> bool:
    """Return whether a value may be of one type or another, without tags: pydantic then names the type it has tried."""
    plain = strip_annotation(annotation)
    members = get_args(plain)
    is_tagged = any(isinstance(item, Tag) for one in members for item in getattr(one, "__metadata__", ()))
    return get_origin(plain) in (Union, UnionType) and not is_tagged


def _find_member(annotation: Any, name: str | int) -> Any:
    """Return the model among the members of a union that pydantic names; None where it names another type."""
    models = (model for one in get_args(strip_annotation(annotation)) if (model := model_of(one)))
    return next((one for one in models if one.__name__ == name), None)


def _tagged_member(annotation: Any, part: str | int) -> Any:
    """Return the member of a tagged union that pydantic names in the location."""
    for member in get_args(strip_annotation(annotation)):
        if get_origin(member) is Annotated:
            tags = [item.tag for item in get_args(member)[1:] if isinstance(item, Tag)]
            if part in tags:
                return member
    return None
