"""Documents that people write: strict models, and errors that say where and what to write instead."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from stack.config.shape import describe_type, known_keys, look_up
from stack.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

_TYPE_ERRORS = ("_type", "_parsing", "int_from_float", "ip_v4_address", "literal_error", "enum", "bool_")


class Document(BaseModel):
    """A frozen part of a file that a person wrote; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, alias_generator=to_camel)


class NuclioDocument(Document):
    """A part of function.yaml, whose keys Nuclio reads whatever their case."""

    @model_validator(mode="before")
    @classmethod
    def _match_case(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        spelling = {key.lower(): key for key in known_keys(cls)}
        return {spelling.get(str(key).lower(), key): item for key, item in value.items()}


class _Loader(yaml.CSafeLoader):
    """YAML's safe loader, which also refuses a key written twice instead of losing the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping.

        Raises:
            yaml.MarkedYAMLError: a key occurs twice.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key should be a plain text; put quotes around a value that starts with { or ["
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, name: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; `name` stands for it in errors.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: cannot be read: {error}"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError([f"{name}: {where}{error.problem}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{name}: {error}"]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([f"{name}: should be a mapping of keys to values, not {document!r:.60}"])
    return document


def parse_model(model: type[Model], document: object, name: str) -> Model:
    """Turn what a file holds into its model.

    Raises:
        ConfigError: something is wrong; every problem is named with its path in the file.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = [_explain(model, dict(detail), name) for detail in error.errors(include_url=False)]
        raise ConfigError(list(dict.fromkeys(problems))) from error


def collect(errors: Iterable[ConfigError]) -> ConfigError:
    """Join several errors into one that names all problems."""
    return ConfigError([problem for error in errors for problem in error.problems])


def _explain(model: type[BaseModel], detail: dict[str, Any], name: str) -> str:
    location, annotation, parent = look_up(model, detail["loc"])
    path = ": ".join(part for part in (name, ".".join(location)) if part)
    return f"{path}: {_reason(detail, annotation, parent)}"


def _reason(detail: dict[str, Any], annotation: Any, parent: type[BaseModel] | None) -> str:
    kind = str(detail["type"])
    if kind == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]), parent)
    if kind == "missing":
        return "is required"
    if kind in ("value_error", "assertion_error"):
        return str(detail["msg"]).partition(", ")[2]
    if kind.startswith("union_tag") or any(part in kind for part in _TYPE_ERRORS):
        return f"should be {describe_type(annotation)}, not {_quote(detail['input'])}"
    return f"{str(detail['msg']).replace('Input ', '')[:1].lower()}{str(detail['msg']).replace('Input ', '')[1:]}"


def _unknown(key: str, parent: type[BaseModel] | None) -> str:
    known = known_keys(parent) if parent else []
    near = get_close_matches(key.lower(), [name.lower() for name in known], n=1, cutoff=0.6)
    if near:
        return f"is not a known key; did you mean {next(name for name in known if name.lower() == near[0])!r}?"
    return f"is not a known key; known here: {', '.join(sorted(known))}"


def _quote(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
