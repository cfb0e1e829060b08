"""Documents that people write: strict models, read from YAML."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from stack.config.problem import find_problems
from stack.config.scalar import fit_scalars
from stack.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Document(BaseModel):
    """A frozen part of a file that a person wrote; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, alias_generator=to_camel)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return the document itself, which nobody changes; pydantic would copy each default that nobody set."""
        return self


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


def parse_model(model: type[Model], document: object, name: str) -> Model:
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
