"""Documents that people write: strict models, read from YAML."""

from collections.abc import Callable, Container, Iterable, Iterator
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from stack.config.introspect import get_field
from stack.config.problem import find_problems
from stack.config.yaml_loader import fit_scalars
from stack.contract import ALIASES
from stack.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Document(BaseModel):
    """A frozen part of a file that a person wrote; unknown keys are refused."""

    # A model is built when it is first used, which most tasks do with few of them; so a default that is a model is made
    # by `model_construct`, which needs none that is built.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, alias_generator=to_camel, defer_build=True
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return the document itself, which no one changes; pydantic would copy each default that no one set."""
        return self


# Of what has none of the kinds that there are.
OTHER_KIND = "other"


def read_kind(value: Any, kinds: Container[str]) -> str:
    """Return the kind of a trigger or an output, parsed or as it stands in a file; `other` if it is none of these."""
    if isinstance(value, dict):
        kind = next((item for key, item in value.items() if str(key).lower() == "kind"), "")
    else:
        kind = getattr(value, "kind", "")
    kind = ALIASES.get(str(kind), str(kind))
    return kind if kind in kinds else OTHER_KIND


class NuclioDocument(Document):
    """A part of function.yaml, read as Nuclio's decoder reads it.

    Keys count whatever their case, a null is a key left out, and a number where a text is asked for is that text; a
    text where a number is asked for is refused.
    """

    model_config = ConfigDict(strict=True, populate_by_name=False)

    # Older names of keys, in lower case, and those that replaced them.
    legacy_keys: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = _fields_by_lower_case(cls)
        decoded: dict[str, Any] = {}
        for given, item in value.items():
            key, annotation = fields.get(str(given).lower(), (str(given), Any))
            if key in decoded:
                raise ValueError(f"the key {key!r} occurs twice, once as {given!r}")
            if item is not None or annotation is Any:
                decoded[key] = fit_scalars(annotation, item)
        return decoded


@cache
def _fields_by_lower_case(model: type[NuclioDocument]) -> dict[str, tuple[str, Any]]:
    """Return each key as the model spells it, and what is asked for under it."""
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    fields = {key.lower(): (key, annotation) for key, annotation in known.items()}
    return fields | {older: (key, known[key]) for older, key in model.legacy_keys.items()}


def parse_model(model: type[Model], document: object, *, name: str) -> Model:
    """Turn what a file holds into its model.

    Raises:
        ConfigError: something is wrong; every problem is named with its path in the file.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = [f"{name}: {problem}" for problem in find_problems(model, document)]
        raise ConfigError(list(dict.fromkeys(problems))) from error


def attempt_all(
    make: Callable[[Item], Result], items: Iterable[Item], *, is_lenient: bool = False
) -> tuple[Result, ...]:
    """Make something of each item; those of which nothing can be made are left out if that is allowed.

    Raises:
        ConfigError: one or more items are wrong; the problems of all are named together.
    """
    made, errors = [], []
    for item in items:
        try:
            made.append(make(item))
        except ConfigError as error:
            errors.append(error)
    if errors and not is_lenient:
        raise collect(errors)
    return tuple(made)


def collect(errors: Iterable[ConfigError]) -> ConfigError:
    """Join several errors into one that names all problems."""
    return ConfigError([problem for error in errors for problem in error.problems])


def write_compact(model: BaseModel) -> dict[str, Any]:
    """Return what was given, in the model's order and its kind first, without what is empty and would be so anyhow."""
    written: dict[str, Any] = {}
    for name, field in sorted(type(model).model_fields.items(), key=lambda item: item[0] != "kind"):
        value = getattr(model, name)
        if name not in model.model_fields_set or (not value and value == field.get_default(call_default_factory=True)):
            continue
        content = _write(value)
        if content or not isinstance(value, BaseModel) or field.is_required() or field.default is None:
            written[field.alias or name] = content
    return written


def _write(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return write_compact(value)
    if isinstance(value, dict):
        return {key: _write(item) for key, item in value.items()}
    return [_write(item) for item in value] if isinstance(value, list) else value


def drop_unknown(model: type[BaseModel], document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a document without the keys that its model does not know, and their paths."""
    paths: list[list[str]] = []
    try:
        model.model_validate(document)
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if detail["type"] == "extra_forbidden"]
        paths = [get_field(model, detail["loc"])[0] for detail in details]
    rest: Any = document
    for path in paths:
        rest = _drop(rest, path)
    return rest, tuple(".".join(path) for path in paths)


def _drop(value: Any, path: list[str]) -> Any:
    head, *tail = path
    if isinstance(value, list):
        return [_drop(item, tail) if str(number) == head else item for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    items = ((key, item, str(key).lower() == head.lower()) for key, item in value.items())
    return {key: _drop(item, tail) if is_here else item for key, item, is_here in items if tail or not is_here}


class Ignored:
    """Mark a field whose value is kept but changes nothing; the text says why, or what to use instead."""

    def __init__(self, reason: str = "has no effect on Docker") -> None:
        self.reason = reason

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell the reader of the JSON Schema too."""
        return {**handler(schema), "description": f"This key {self.reason}."}


KUBERNETES = Ignored("is for Kubernetes and has no effect here")


def find_ignored(model: BaseModel, path: str = "") -> Iterator[str]:
    """Yield a line for each key that was given another value than its default and has no effect."""
    for name in type(model).model_fields:
        if name not in model.model_fields_set:
            continue
        field = type(model).model_fields[name]
        value = getattr(model, name)
        where = f"{path}.{field.alias or name}".lstrip(".")
        mark = next((item for item in field.metadata if isinstance(item, Ignored)), None)
        if mark is None:
            yield from _find_within(value, where)
        elif value != field.get_default(call_default_factory=True):
            yield f"{where} {mark.reason}"


def _find_within(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from find_ignored(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find_within(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _find_within(item, f"{path}.{number}")
