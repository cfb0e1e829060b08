"""YAML as people write it, read without surprises: no lost keys, no dates, no traceback."""

from pathlib import Path
from typing import Any

import yaml

from stack.errors import ConfigError

# A deeper document ends libyaml's composer, which recurses in C, with a crash of the whole process.
_DEPTH = 64
# Aliases of aliases make a small file endless; no document of a person's comes near.
_NODES = 100_000

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_DATE = "tag:yaml.org,2002:timestamp"
# What PyYAML raises for a scalar whose explicit tag it does not fit, such as `!!int x`.
_UNFIT = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)


class _Loader(yaml.CSafeLoader):
    """YAML's safe loader, with JSON's types: keys are texts, and so are dates; a key written twice is refused."""

    yaml_implicit_resolvers = {
        first: [resolver for resolver in resolvers if resolver[0] != _DATE]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

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
            if key.tag == _MERGE:
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
            key.tag = _TEXT
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, name: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; `name` stands for it in errors.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([f"{name}: cannot be read: {reason}"]) from error
    return parse_mapping(text, name)


def parse_mapping(text: str, name: str) -> dict[str, Any]:
    """Read YAML that holds a mapping; an empty document is an empty mapping.

    Raises:
        ConfigError: it is not YAML, or holds something else.
    """
    try:
        check_depth(text)
        document = yaml.load(text, _Loader)
        _check_size(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError([f"{name}: {where}{error.problem or error.context}"]) from error
    except (yaml.YAMLError, *_UNFIT) as error:
        raise ConfigError([f"{name}: is no YAML that can be read: {error}"]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([f"{name}: should be a mapping of keys to values, not {document!r:.60}"])
    return document


def check_depth(text: str) -> None:
    """Make sure that libyaml can compose a text.

    Raises:
        yaml.YAMLError: it is too deep, or no YAML.
    """
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise yaml.YAMLError(f"it is nested deeper than {_DEPTH}")


def _check_size(document: object) -> None:
    waiting, count = [document], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _NODES:
            raise ValueError(f"it has more than {_NODES} values, or an alias that holds itself")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif not isinstance(value, str | int | float | bool | None):
            raise ValueError(f"a value is of a type that JSON does not have: {type(value).__name__}")
