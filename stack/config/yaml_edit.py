"""Changes to a YAML text that leave the rest of it as its author wrote it, comments too."""

from typing import Any

import yaml

from stack.config.source import FILE
from stack.config.yaml_loader import parse_mapping
from stack.errors import ConfigError


def set_value(source: str, path: tuple[str, ...], value: Any) -> str:
    """Return a text in which a key has another value; what leads to the key is made where it is missing.

    Raises:
        ConfigError: the text is no YAML that holds a mapping.
    """
    content = parse_mapping(source, FILE)
    path = _spell(content, path)
    wanted = _put(content, path, value=value)
    tree = _compose(source)
    changed = _set(source, tree, path=path, value=value) if tree else _append(source, _write(_nest(path, value)))
    return _check(changed, wanted)


def remove_value(source: str, path: tuple[str, ...]) -> str:
    """Return a text without a key; the keys that lead to it stay.

    Raises:
        ConfigError: the text is no YAML that holds a mapping.
    """
    content = parse_mapping(source, FILE)
    path = _spell(content, path)
    wanted, is_there = _take(content, path)
    if not is_there:
        return source
    owner = _find(_compose(source), path[:-1])
    if owner is None:
        return _check("", wanted)
    if owner.flow_style or len(owner.value) == 1:
        rest = {key: item for key, item in _reach(content, path[:-1]).items() if key != path[-1]}
        return set_value(source, path[:-1], rest) if len(path) > 1 else _check("", wanted)
    key, item = next(pair for pair in owner.value if pair[0].value == path[-1])
    start = source.rfind("\n", 0, key.start_mark.index) + 1
    return _check(source[:start] + source[_end(source, item) :], wanted)


def rename_key(source: str, path: tuple[str, ...], *, name: str) -> str:
    """Return a text in which the last key of a path, which is there, is called otherwise.

    Raises:
        ConfigError: the text is no YAML that holds a mapping.
    """
    content = parse_mapping(source, FILE)
    path = _spell(content, path)
    owner = {(name if key == path[-1] else key): item for key, item in _reach(content, path[:-1]).items()}
    wanted = _put(content, path[:-1], value=owner) if len(path) > 1 else owner
    node = _find(_compose(source), path[:-1])
    key = next((key for key, _ in node.value if key.value == path[-1]), None) if node else None
    if key is None:
        return _check("", wanted)
    word = _write({name: 0}).removesuffix(": 0\n")
    return _check(source[: key.start_mark.index] + word + source[key.end_mark.index :], wanted)


def _reach(content: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path:
        content = content[name]
    return content


def _check(changed: str, wanted: dict[str, Any]) -> str:
    """Return the changed text if it says what is wanted; else the same without its author's hand, such as anchors."""
    try:
        if parse_mapping(changed, FILE) == wanted:
            return changed
    except ConfigError:
        pass
    return _write(wanted)


def _set(source: str, node: yaml.MappingNode, *, path: tuple[str, ...], value: Any) -> str:
    """Change the value that a path leads to from a mapping on."""
    pair = next((pair for pair in node.value if pair[0].value == path[0]), None)
    if node.flow_style or pair is None:
        return _add(source, node, path=path, value=value)
    key, item = pair
    if len(path) > 1 and isinstance(item, yaml.MappingNode) and item.value:
        return _set(source, item, path=path[1:], value=value)
    lines = _write({"x": _nest(path[1:], value)}).removeprefix("x")
    return source[: key.end_mark.index] + _indent(lines, key.start_mark.column) + source[_end(source, item) :]


def _add(source: str, node: yaml.MappingNode, *, path: tuple[str, ...], value: Any) -> str:
    """Add a key to a mapping; one in braces is written again on a line of its own."""
    if node.flow_style:
        content = _put(_load(source, node), path, value=value)
        text = yaml.safe_dump(content, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
        return source[: node.start_mark.index] + text.rstrip("\n") + source[node.end_mark.index :]
    column, end = node.start_mark.column, _end(source, node.value[-1][1])
    head = source[:end] if source[:end].endswith("\n") else f"{source[:end]}\n"
    return head + " " * column + _indent(_write(_nest(path, value)), column) + source[end:]


def _end(source: str, node: yaml.Node) -> int:
    """Return where the line after a value begins; comments between a value and the next key belong to that key."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(source, last[1] if isinstance(last, tuple) else last)
    index = node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") and source[:index].endswith("\n"):
        return index
    newline = source.find("\n", index)
    return len(source) if newline < 0 else newline + 1


def _compose(source: str) -> yaml.MappingNode | None:
    tree = yaml.compose(source, yaml.SafeLoader)
    return tree if isinstance(tree, yaml.MappingNode) else None


def _find(node: yaml.MappingNode | None, path: tuple[str, ...]) -> yaml.MappingNode | None:
    for name in path:
        found = next((item for key, item in node.value if key.value == name), None) if node else None
        node = found if isinstance(found, yaml.MappingNode) else None
    return node


def _spell(content: Any, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path as its keys are written, since their case does not count in Nuclio's documents."""
    if not path or not isinstance(content, dict):
        return path
    name = next((key for key in content if key.lower() == path[0].lower()), path[0])
    return (name, *_spell(content.get(name), path[1:]))


def _load(source: str, node: yaml.MappingNode) -> dict[str, Any]:
    return parse_mapping(source[node.start_mark.index : node.end_mark.index], FILE)


def _put(content: dict[str, Any], path: tuple[str, ...], *, value: Any) -> dict[str, Any]:
    inner = content.get(path[0])
    below = value if len(path) == 1 else _put(inner if isinstance(inner, dict) else {}, path[1:], value=value)
    return {**content, path[0]: below}


def _take(content: dict[str, Any], path: tuple[str, ...]) -> tuple[dict[str, Any], bool]:
    """Return a mapping without the key that a path leads to, and whether it was there."""
    if len(path) == 1 or path[0] not in content:
        return {key: item for key, item in content.items() if key != path[0]}, path[0] in content
    inner = content[path[0]]
    if not isinstance(inner, dict):
        return content, False
    rest, is_there = _take(inner, path[1:])
    return {**content, path[0]: rest}, is_there


def _nest(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _write(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _indent(text: str, column: int) -> str:
    """Indent all lines but the first."""
    return text.replace("\n", "\n" + " " * column).removesuffix(" " * column)


def _append(source: str, text: str) -> str:
    return text if not source.strip() else f"{source.rstrip()}\n{text}"
