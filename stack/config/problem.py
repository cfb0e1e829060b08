"""What is wrong with a document: all of it at once, each with its path and what to write instead."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from stack.config.introspect import describe_type, get_field, known_keys

_TYPE_ERRORS = ("_type", "_parsing", "int_from_float", "ip_v4_", "ip_v6_", "literal_error", "enum", "bool_")
_OWN = "problem"
_REQUIRED = "is required"
# What to write instead of what does not match one of these.
_PATTERNS = {
    "^/": "should begin with /",
    r"^[A-Za-z_]\w*$": "should be a name of letters, digits and _",
    "^[A-Za-z]+$": "should be one word, such as RUN",
    r"^[^=\x00]+$": "should be a name, without =",
    r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$": "should be a name of small letters, digits, - and ., such as readings",
    r"^[^=\x00]*$": "should be without =",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$": "should be a release, such as 1.13.0",
}


@dataclass(frozen=True)
class Problem:
    """A mistake, and the keys that lead to it."""

    path: tuple[str, ...]
    text: str

    @property
    def is_of_absence(self) -> bool:
        """Return whether a key is missing."""
        return self.text.startswith(_REQUIRED)

    def __str__(self) -> str:
        path = ".".join(self.path).replace("\0", "\\0")
        return ": ".join(part for part in (path, self.text) if part)


def refuse(model: BaseModel | type[BaseModel], problems: Iterable[Problem]) -> None:
    """Refuse a model because of its parts, such as those that do not agree; the paths begin at the model.

    Raises:
        ValidationError: there is a problem.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError(_OWN, "{text}", {"text": one.text}), loc=one.path, input=None)
        for one in problems
    ]
    if details:
        kind = model if isinstance(model, type) else type(model)
        raise ValidationError.from_exception_data(kind.__name__, details)


def find_problems(model: type[BaseModel], document: object) -> list[Problem]:
    """List every mistake of a document.

    Whether parts agree is looked at only where each is right in itself. So what was found wrong is taken out, and the
    rest is looked at again, until it has nothing new.
    """
    given, found = document, list[Problem]()
    while problems := _validate(model, document):
        known = [problem.path for problem in found]
        new = [one for one in problems if not any(_overlap(one.path, path) for path in known)]
        found += [one for one in new if not (one.is_of_absence and _is_taken_out(given, document, path=one.path))]
        rest = document
        for problem in problems:
            rest = _without(rest, _reach(document, problem.path))
        if rest == document:
            break
        document = rest
    return list(dict.fromkeys(found))


def _validate(model: type[BaseModel], document: object) -> list[Problem]:
    try:
        model.model_validate(document)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors(include_url=False)]
        found = [(_explain(model, one), _is_of_type(one)) for one in details]
        # Of the members of a union, the one that a value has the form of says what is wrong within it.
        within = {one.path[:length] for one, _ in found for length in range(len(one.path))}
        return [one for one, is_of_type in found if not (is_of_type and one.path in within)]
    return []


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _reach(value: Any, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return how far a path leads: to what lacks a key, and to a whole list, so that others keep their numbers."""
    length = 0
    while length < len(path) and (key := _find_key(value, path[length])) is not None:
        value = value[key]
        length += 1
    return path[:length]


def _without(value: Any, path: tuple[str, ...]) -> Any:
    """Take out what a path leads to, if it is there."""
    key = _find_key(value, path[0]) if path else None
    if key is None:
        return value
    if len(path) > 1:
        return value | {key: _without(value[key], path[1:])}
    return {name: item for name, item in value.items() if name != key}


def _is_taken_out(given: object, rest: object, *, path: tuple[str, ...]) -> bool:
    """Return whether a key that is missing in the rest was given."""
    return _reach(given, path) == path != _reach(rest, path)


def _find_key(value: Any, wanted: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((key for key in value if str(key).lower() == wanted.lower()), None)


def _explain(model: type[BaseModel], detail: dict[str, Any]) -> Problem:
    location, annotation, parent = get_field(model, detail["loc"])
    return Problem(tuple(location), _reason(detail, annotation, parent=parent))


def _reason(detail: dict[str, Any], annotation: Any, *, parent: type[BaseModel] | None) -> str:
    kind, message = str(detail["type"]), str(detail["msg"])
    if kind == _OWN:
        return message
    if kind == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]), parent)
    if kind == "missing":
        return _REQUIRED + _give_example(str(detail["loc"][-1]), parent)
    if kind in ("value_error", "assertion_error"):
        return message.partition(", ")[2]
    if _is_of_type(detail):
        return f"should be {describe_type(annotation)}, not {_quote(detail['input'])}"
    if kind == "string_too_short":
        return "should not be empty"
    if kind == "string_pattern_mismatch" and (told := _PATTERNS.get(str(detail["ctx"]["pattern"]))):
        return f"{told}, not {_quote(detail['input'])}"
    text = message.replace("Input ", "")
    return text[:1].lower() + text[1:]


def _is_of_type(detail: dict[str, Any]) -> bool:
    """Return whether a value is of another type than it should be."""
    kind = str(detail["type"])
    return kind.startswith("union_tag") or any(part in kind for part in _TYPE_ERRORS)


def _give_example(key: str, parent: type[BaseModel] | None) -> str:
    """Return what a missing key may be, if its field says that."""
    fields = parent.model_fields.items() if parent else ()
    examples = next((field.examples for name, field in fields if key in (name, field.alias)), None)
    is_line = examples and "\n" not in str(examples[0])
    return f", such as {key}: {examples[0]}" if examples and is_line else ""


def _unknown(key: str, parent: type[BaseModel] | None) -> str:
    known = known_keys(parent) if parent else []
    near = get_close_matches(key.lower(), [name.lower() for name in known], n=1, cutoff=0.6)
    if near:
        return f"is not a known key; did you mean {next(name for name in known if name.lower() == near[0])!r}?"
    return f"is not a known key; known here: {', '.join(sorted(known))}"


def _quote(value: Any) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
