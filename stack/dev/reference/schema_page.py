"""The reference of a file that people write, from its JSON Schema: a table of keys for each part of the file."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stack.dev.reference.markdown import build_section, build_table, quote

_COLUMNS = ("key", "value", "default", "meaning")
_REFERENCE = "#/$defs/"
# How the description of a key begins that Nuclio knows and that does nothing here.
_IGNORED = ("This key has no effect", "This key is for K", "This key is ignored")
# What is read as a text.
_TEXTS = {"string", "number", "boolean"}
_NAMES = {"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}

Schema = Mapping[str, Any]


def build_schema_page(schema: Schema) -> str:
    """Return the parts of a document, each once, those nearest to its root first."""
    parts = schema["$defs"]
    waiting: list[tuple[str, Schema]] = [("", schema)]
    sections: list[str] = []
    known: set[str] = set()
    while waiting:
        path, part = waiting.pop(0)
        sections.append(_build_part(path, part, parts))
        for key, name in _find_parts(path, part, parts):
            if name not in known:
                known.add(name)
                waiting.append((key, parts[name]))
    return "".join(sections)


def _find_parts(path: str, part: Schema, parts: Schema) -> Iterator[tuple[str, str]]:
    """Yield the path and the name of each part that the keys of this one lead to."""
    for key, content in part["properties"].items():
        for steps, name in _find_references(content):
            if "properties" in parts[name]:
                kind = parts[name]["properties"].get("kind", {})
                place = f"{path}.{key}{steps}".lstrip(".")
                words = [kind["const"]] if "const" in kind else kind.get("enum", [])
                yield f"{place} ({words[0]})" if words else place, name


def _find_references(content: Schema, steps: str = "") -> Iterator[tuple[str, str]]:
    if "$ref" in content:
        yield steps, content["$ref"].removeprefix(_REFERENCE)
    for choice in (*content.get("anyOf", ()), *content.get("oneOf", ())):
        yield from _find_references(choice, steps)
    for key, step in (("items", "[]"), ("additionalProperties", ".NAME")):
        if isinstance(content.get(key), Mapping):
            yield from _find_references(content[key], steps + step)


def _build_part(path: str, part: Schema, parts: Schema) -> str:
    required = part.get("required", ())
    keys = {key: _explain(content, parts) for key, content in part["properties"].items()}
    rows = [
        (quote(key), _show_value(content, parts), _show_default(content, is_required=key in required), keys[key])
        for key, content in part["properties"].items()
        if not keys[key].startswith(_IGNORED)
    ]
    ignored = ", ".join(quote(key) for key, meaning in keys.items() if meaning.startswith(_IGNORED))
    title = f"{quote(path) if path else 'The file'} {{#{part['title'].lower()}}}"
    note = f"Taken, and without effect here: {ignored}." if ignored else ""
    return build_section(title, part.get("description", ""), build_table(_COLUMNS, rows), note)


def _explain(content: Schema, parts: Schema) -> str:
    """Return what is said of a key; of one without words, what is said of the part or the words that it takes."""
    described = content.get("description")
    if described is None:
        described = next((parts[name].get("description") for _, name in _find_references(content)), "")
    return " ".join(str(described or "").split())


def _show_default(content: Schema, *, is_required: bool) -> str:
    default = content.get("default")
    if is_required:
        return "required"
    if default in (None, "", [], {}) or isinstance(default, Mapping):
        return ""
    return quote(default if isinstance(default, str) else json.dumps(default))


def _show_value(content: Schema, parts: Schema) -> str:
    """Return what a key takes, in words."""
    if "$ref" in content:
        part = parts[content["$ref"].removeprefix(_REFERENCE)]
        return f"[{part['title']}](#{part['title'].lower()})" if "properties" in part else _show_value(part, parts)
    if choices := content.get("anyOf") or content.get("oneOf"):
        shown = [_show_value(choice, parts) for choice in choices if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(shown))
    if "const" in content or "enum" in content:
        words = content.get("enum", [content.get("const")])
        return ", ".join(quote(word if isinstance(word, str) else json.dumps(word)) for word in words if word != "")
    return _show_type(content, parts)


def _show_type(content: Schema, parts: Schema) -> str:
    given = content.get("type", "anything")
    types = set(given if isinstance(given, list) else [given]) - {"null"}
    if types == {"array"}:
        return f"list of {_show_value(content.get('items') or {}, parts)}"
    if types == {"object"}:
        value = content.get("additionalProperties")
        return f"by name: {_show_value(value, parts)}" if isinstance(value, Mapping) else "a mapping"
    if types >= _TEXTS:
        return "text"
    return " or ".join(_NAMES.get(one, one) for one in sorted(types)) + _show_bounds(content)


def _show_bounds(content: Schema) -> str:
    least, most = content.get("minimum"), content.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    return f", at least {least}" if least is not None else f", at most {most}" if most is not None else ""
