"""The reference of a file that people write, from its JSON Schema: a table of keys for each part of the file."""

import json
import re
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
    page = _Page(schema)
    return "".join([page.build_part("The file", schema), *(page.build_part(*part) for part in page.list_parts())])


class _Page:
    """The parts of a schema, and under which path each is described: that of the first key that leads to it."""

    def __init__(self, schema: Schema) -> None:
        self._parts: Schema = schema["$defs"]
        self._paths: dict[str, str] = {}
        waiting = [("", schema)]
        while waiting:
            for name, path in self._find_parts(*waiting.pop(0)):
                if name not in self._paths:
                    self._paths[name] = path
                    waiting.append((path, self._parts[name]))

    def list_parts(self) -> Iterator[tuple[str, Schema]]:
        """Yield the heading and the schema of each part that has keys."""
        for name, path in self._paths.items():
            yield quote(path), self._parts[name]

    def build_part(self, title: str, part: Schema) -> str:
        """Return the section of a part; keys without effect are named below its table."""
        required = part.get("required", ())
        keys = {key: self._explain(content) for key, content in part["properties"].items()}
        rows = [
            (quote(key), self._show_value(content), _show_default(content, is_required=key in required), keys[key])
            for key, content in part["properties"].items()
            if not keys[key].startswith(_IGNORED)
        ]
        ignored = ", ".join(quote(key) for key, meaning in keys.items() if meaning.startswith(_IGNORED))
        note = f"Taken, and without effect here: {ignored}." if ignored else ""
        return build_section(title, part.get("description", ""), build_table(_COLUMNS, rows), note)

    def _find_parts(self, path: str, part: Schema) -> Iterator[tuple[str, str]]:
        """Yield the name and the path of each part with keys that the keys of this one lead to."""
        for key, content in part["properties"].items():
            for steps, name in _find_references(content):
                if "properties" in self._parts[name]:
                    kind = self._parts[name]["properties"].get("kind", {})
                    words = [kind["const"]] if "const" in kind else kind.get("enum", [])
                    yield name, f"{path}.{key}{steps}".lstrip(".") + (f" ({words[0]})" if words else "")

    def _explain(self, content: Schema) -> str:
        """Return what is said of a key; of one without words, what is said of what it takes."""
        described = content.get("description")
        if described is None:
            described = next((self._parts[name].get("description") for _, name in _find_references(content)), "")
        return " ".join(str(described or "").split())

    def _show_value(self, content: Schema) -> str:
        """Return what a key takes, in words."""
        if "$ref" in content:
            name = content["$ref"].removeprefix(_REFERENCE)
            return self._link(name) if name in self._paths else self._show_value(self._parts[name])
        if choices := content.get("anyOf") or content.get("oneOf"):
            shown = [self._show_value(choice) for choice in choices if choice.get("type") != "null"]
            return " or ".join(dict.fromkeys(shown))
        if "const" in content or "enum" in content:
            words = content.get("enum", [content.get("const")])
            return ", ".join(quote(word if isinstance(word, str) else json.dumps(word)) for word in words if word != "")
        return self._show_type(content)

    def _link(self, name: str) -> str:
        """Return a link to a part; the anchor of its heading is what MkDocs and GitHub both make of it."""
        path = self._paths[name]
        anchor = re.sub(r"[^\w\s-]", "", path).strip().lower().replace(" ", "-")
        return f"[{name}](#{anchor})"

    def _show_type(self, content: Schema) -> str:
        given = content.get("type", "anything")
        types = set(given if isinstance(given, list) else [given]) - {"null"}
        if types == {"array"}:
            return f"list of {self._show_value(content.get('items') or {})}"
        if types == {"object"}:
            value = content.get("additionalProperties")
            return f"by name: {self._show_value(value)}" if isinstance(value, Mapping) else "a mapping"
        if types >= _TEXTS:
            return "text"
        return " or ".join(_NAMES.get(one, one) for one in sorted(types)) + _show_bounds(content)


def _find_references(content: Schema, steps: str = "") -> Iterator[tuple[str, str]]:
    """Yield the parts that a key takes, each with the steps from the key to it."""
    if "$ref" in content:
        yield steps, content["$ref"].removeprefix(_REFERENCE)
    for choice in (*content.get("anyOf", ()), *content.get("oneOf", ())):
        yield from _find_references(choice, steps)
    for key, step in (("items", "[]"), ("additionalProperties", ".NAME")):
        if isinstance(content.get(key), Mapping):
            yield from _find_references(content[key], steps + step)


def _show_default(content: Schema, *, is_required: bool) -> str:
    default = content.get("default")
    if is_required:
        return "required"
    if default in (None, "", [], {}) or isinstance(default, Mapping):
        return ""
    return quote(default if isinstance(default, str) else json.dumps(default))


def _show_bounds(content: Schema) -> str:
    least, most = content.get("minimum"), content.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    return f", at least {least}" if least is not None else f", at most {most}" if most is not None else ""
