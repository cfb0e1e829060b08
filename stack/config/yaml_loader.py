"""YAML as people write it, read without surprises: no lost keys, no dates, no traceback."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

from stack.config.introspect import strip_annotation
from stack.errors import ConfigError

# A deeper document ends libyaml's composer, which recurses in C, with a crash of the whole process.
_DEPTH = 64
# Aliases of aliases, and merge keys, make a small file endless; no document of a person's comes near.
_NODES = 100_000
# An export with its source in it has its place in it.
_MOST_BYTES = 16_000_000

_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_DATE = "tag:yaml.org,2002:timestamp"
# Numbers of base 60, which YAML 1.1 has and Go's YAML has not: 12:30 would be 750.
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$")
# What PyYAML raises for a scalar whose explicit tag it does not fit, such as `!!int x`.
_UNFIT = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)

# Words of libyaml.
_SECOND = "but found another document"
_NO_BRACKET, _NO_BRACE = "did not find expected ',' or ']'", "did not find expected ',' or '}'"
_STRANGE = ("found character that cannot start any token", "found a tab character that violates indentation")
_ALIAS = "a value that begins with * is an alias, and one with & names one; put quotes around it"
_NO_KEY = "did not find expected key"
_MEANINGS = {
    "mapping values are not allowed in this context": (
        'a colon makes this a key, and none can stand here; put quotes around a value that has ": " in it'
    ),
    _NO_KEY: "this line is indented otherwise than those it belongs to",
    "could not find expected ':'": "here or just above is a line without a colon; each is a key and its value",
    "found unexpected end of stream": "a quote that was opened above is not closed",
    _NO_BRACKET: "a [ that was opened above is not closed, or a comma is missing",
    _NO_BRACE: "a { that was opened above is not closed, or a comma is missing",
    "found undefined alias": _ALIAS,
    "did not find expected alphabetic or numeric character": _ALIAS,
    "did not find expected node content": "no value is here; one that begins with # needs quotes",
    "block sequence entries are not allowed in this context": "the - of a list begins a line of its own",
}


class _Loader(yaml.CSafeLoader):
    """YAML's safe loader, with JSON's types: keys, dates and times are texts; a key written twice is refused."""

    yaml_implicit_resolvers = {
        first: [(_TEXT, _SIXTIES), *(resolver for resolver in resolvers if resolver[0] != _DATE)]
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
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError([f"{name}: is larger than {_MOST_BYTES // 1_000_000} MB, which no configuration is"])
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
        document = _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError([f"{name}: {where}{_explain(error, text)}"]) from error
    except (yaml.YAMLError, *_UNFIT) as error:
        raise ConfigError([f"{name}: is no YAML that can be read: {error}"]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([f"{name}: should be a mapping of keys to values, not {document!r:.60}"])
    return document


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    """Say what libyaml means, where its words help no one."""
    problem, start = error.problem or error.context or "", error.problem_mark.index if error.problem_mark else 0
    if problem == _SECOND:
        return "another document begins here; a file holds one, so take out this --- and what follows"
    if problem in (_NO_BRACKET, _NO_BRACE) and text[start : start + 1] == "{":
        return 'a { stands within a value; put quotes around the whole value, such as "plant/{id}/state"'
    if problem == _NO_KEY and text[:start].rpartition("\n")[2].strip():
        return "this does not go on the value before it; put quotes around the whole value"
    if problem not in _STRANGE:
        return _MEANINGS.get(problem, problem)
    if (character := text[start : start + 1]) == "\t":
        return "a tab stands here; YAML is indented by spaces"
    return f"no value begins with {character}; put quotes around it" if character else problem


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


def _load(text: str) -> Any:
    """Build what a text holds, once it is known to be no larger than a person's document.

    Raises:
        yaml.YAMLError: it is no YAML.
        ValueError: it is too large or too deep with all that its aliases and merge keys stand for, or a value is of a
            type that JSON does not have.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {}, depth=0)
        document = loader.construct_document(node)
    finally:
        loader.dispose()
    _check_types(document)
    return document


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None], *, depth: int) -> tuple[int, int]:
    """Return how many values a node stands for, its aliases counted wherever they stand, and how deep they are.

    A merge key takes in no more values than the nodes that it names stand for.
    """
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise ValueError("an alias holds itself")
    else:
        known[id(node)] = None
        below = [_measure(one, known, depth=depth + 1) for one in _list_children(node)] if depth <= _DEPTH else []
        measured = 1 + sum(count for count, _ in below), 1 + max((height for _, height in below), default=0)
        known[id(node)] = measured
    if depth + measured[1] > _DEPTH + 1:
        raise ValueError(f"it is nested deeper than {_DEPTH}")
    if measured[0] > _NODES:
        raise ValueError(f"it has more than {_NODES} values, all counted that its aliases and merge keys stand for")
    return measured


def _list_children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_types(document: object) -> None:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif not isinstance(value, str | int | float | bool | None):
            raise ValueError(f"a value is of a type that JSON does not have: {type(value).__name__}")


def fit_scalars(annotation: Any, value: Any) -> Any:
    """Turn numbers and truth values into texts wherever a text is asked for.

    Nuclio reads `value: 5` and `value: true` as the texts "5" and "true", since it turns YAML into JSON guided by the
    types of its fields; so is a null among a mapping's texts an empty one.
    """
    plain = strip_annotation(annotation)
    if plain is str:
        return _as_text(value)
    if get_origin(plain) is list and isinstance(value, list):
        return [fit_scalars(get_args(plain)[0], item) for item in value]
    if get_origin(plain) is dict and isinstance(value, dict):
        return {key: _fit_item(get_args(plain)[1], item) for key, item in value.items()}
    return value


def _fit_item(annotation: Any, value: Any) -> Any:
    return "" if value is None and strip_annotation(annotation) is str else fit_scalars(annotation, value)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value) if isinstance(value, int) else value


# What parse_mapping says of a text that is no YAML; lines are counted from 1.
_MARK = re.compile(r"^line (\d+), column (\d+): ")


@dataclass(frozen=True)
class Finding:
    """A problem of a document and its place: the keys that lead there, and the line, counted from 1, and column."""

    path: str
    text: str
    line: int
    column: int


def find_places(source: str, problems: tuple[str, ...], *, document: str) -> tuple[Finding, ...]:
    """Tell the place of each problem of a ConfigError in the text of the document that it names."""
    tree = _compose(source)
    return tuple(_find_place(tree, problem, head=f"{document}: ") for problem in problems)


def find_line(source: str, path: Sequence[str]) -> int:
    """Return the number of the line, from 1 on, to which a path leads; of what is not there, that of what lacks it."""
    tree = _compose(source)
    mark = _follow(tree, ".".join(path)) if tree else None
    return mark.line + 1 if mark else 1


def _find_place(tree: yaml.Node | None, problem: str, *, head: str) -> Finding:
    if not problem.startswith(head):
        return Finding("", problem, 1, 0)
    problem = problem.removeprefix(head)
    if mark := _MARK.match(problem):
        return Finding("", problem[mark.end() :], int(mark[1]), int(mark[2]) - 1)
    path, colon, text = problem.partition(": ")
    if not colon or " " in path:
        return Finding("", problem, 1, 0)
    where = _follow(tree, path) if tree else None
    return Finding(path, text, where.line + 1 if where else 1, where.column if where else 0)


def _compose(source: str) -> yaml.Node | None:
    try:
        check_depth(source)
        return yaml.compose(source, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return None


def _follow(node: yaml.Node, path: str) -> yaml.Mark | None:
    """Return the place of the deepest key of a path that is there; keys may have dots in them, and any case."""
    found = None
    while path and (step := _step(node, path)):
        found, node, path = step
    return found


def _step(node: yaml.Node, path: str) -> tuple[yaml.Mark, yaml.Node, str] | None:
    pairs = [(key.start_mark, str(key.value), value) for key, value in node.value] if _is_mapping(node) else []
    if isinstance(node, yaml.SequenceNode):
        pairs = [(item.start_mark, str(number), item) for number, item in enumerate(node.value)]
    fitting = [(len(name), mark, value) for mark, name, value in pairs if _begins(path, name)]
    if not fitting:
        return None
    length, mark, value = max(fitting, key=lambda one: one[0])
    return mark, value, path[length + 1 :]


def _is_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def _begins(path: str, name: str) -> bool:
    return f"{path.lower()}.".startswith(f"{name.lower()}.")
