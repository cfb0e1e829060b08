"""Places: where in a YAML text the thing is that a problem speaks of."""

import re
from dataclasses import dataclass

import yaml

from stack.config.reading import check_depth

# What parse_mapping says of a text that is no YAML; lines are counted from 1.
_MARK = re.compile(r"^line (\d+), column (\d+): ")


@dataclass(frozen=True)
class Finding:
    """A problem of a document and its place: the keys that lead there, and the line, counted from 1, and column."""

    path: str
    text: str
    line: int
    column: int


def find_places(source: str, problems: tuple[str, ...], document: str) -> tuple[Finding, ...]:
    """Tell the place of each problem of a ConfigError in the text of the document that it names."""
    tree = _compose(source)
    return tuple(_find_place(tree, problem, f"{document}: ") for problem in problems)


def _find_place(tree: yaml.Node | None, problem: str, head: str) -> Finding:
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
