"""The pages of docs/reference/, each with a part that is written by what it describes, between two comments.

The part is committed, so that it is read where nothing builds the site; a test says when it is stale.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from invoke import Collection, Task
from invoke.parser import Argument

from stack.cli import DEVELOPERS, GROUPS, OptionalPositional
from stack.config.alert import AlertConfig
from stack.config.function import FunctionConfig
from stack.config.schema import describe_document
from stack.config.settings import Settings
from stack.dashboard.api.openapi import make_document
from stack.processor.configuration import parse_function
from stack.processor.metrics import Gauges, render_metrics
from stack.processor.worker_spec import Role, WorkerSpec
from tasks import namespace


def build_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell is one line of Markdown, whose bars are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def build_section(title: str, *parts: str, level: int = 2) -> str:
    """Return a heading with the parts that are not empty, and a blank line behind each."""
    return "\n\n".join([f"{'#' * level} {title}", *(part.strip() for part in parts if part.strip())]) + "\n\n"


def quote(text: str) -> str:
    """Return a text as code."""
    return f"`{text}`"


_SCHEMAS = "#/components/schemas/"


def build_api_page(document: Mapping[str, Any]) -> str:
    """Return every operation, by resource."""
    resources: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            section = _build_operation(method.upper(), path, operation=operation)
            resources.setdefault(operation["tags"][0], []).append(section)
    return "".join(build_section(title, *sections) for title, sections in resources.items())


def _build_operation(method: str, path: str, *, operation: Mapping[str, Any]) -> str:
    summary = f"{operation['summary']}." + (" Deprecated." if operation.get("deprecated") else "")
    parameters = [
        (quote(one["name"]), one["in"] + (", required" if one["required"] else ""), one.get("description", ""))
        for one in operation["parameters"]
    ]
    table = build_table(("parameter", "in", "meaning"), parameters) if parameters else ""
    body = operation.get("requestBody")
    sent = f"Sends {_name_schema(body)}." if body else ""
    answers = build_table(("status", "meaning", "body"), _show_answers(operation["responses"]))
    return build_section(quote(f"{method} {path}"), summary, table, sent, answers, level=3)


def _show_answers(answers: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for status, answer in answers.items():
        if status != "default":
            meaning = answer.get("description") or HTTPStatus(int(status)).phrase
            yield status, meaning, _name_schema(answer)


def _name_schema(content: Mapping[str, Any]) -> str:
    """Return the media type and the name of what is sent, which `/api/openapi.json` describes."""
    shown = [
        f"{quote(str(schema['$ref']).removeprefix(_SCHEMAS))} ({media})"
        if "$ref" in (schema := content_of.get("schema", {}))
        else quote(media)
        for media, content_of in content.get("content", {}).items()
    ]
    return ", ".join(shown)


_COLUMNS = ("metric", "type", "labels", "meaning")
_HELP, _TYPE = (re.compile(rf"^# {word} (\S+) (.+)$", re.MULTILINE) for word in ("HELP", "TYPE"))
_LABEL = re.compile(r'(\w+)="')
_FUNCTION = {
    "metadata": {"name": "thermo"},
    "spec": {"handler": "main:handler", "runtime": "python", "triggers": {"web": {"kind": "http"}}},
}


def build_metric_page() -> str:
    """Return a table of the metrics."""
    page = _serve()
    types = dict(_TYPE.findall(page))
    rows = [
        (quote(name), types[name], ", ".join(map(quote, _find_labels(page, name))), meaning)
        for name, meaning in _HELP.findall(page)
    ]
    return build_table(_COLUMNS, rows)


def _serve() -> str:
    """Return the page of a function that has handled nothing yet."""
    function = parse_function(_FUNCTION, secrets=Path(), folder=Path())
    specs = [WorkerSpec(trigger, Role.WORKER) for trigger in function.triggers]
    return render_metrics(function, specs, instance="nuclio-thermo", gauges=Gauges())


def _find_labels(page: str, name: str) -> list[str]:
    """Return the labels of a metric's first sample, a histogram's `le` among them."""
    sample = re.search(rf"^{name}(?:_bucket)?\{{(.*)\}}", page, re.MULTILINE)
    return _LABEL.findall(sample[1]) if sample else []


_TASK_COLUMNS = ("option", "meaning")


def build_task_page(namespace: Collection) -> str:
    """Return the groups of users' tasks, and then those of developers."""
    settings = namespace.configuration()
    groups: Mapping[str, Sequence[str]] = settings[GROUPS]
    prefix = settings[DEVELOPERS]
    developers = namespace.collections[prefix]
    users = [
        build_section(title, *(_describe(name, namespace[name]) for name in names)) for title, names in groups.items()
    ]
    tasks = [_describe(f"{prefix}.{name}", task) for name, task in sorted(developers.tasks.items())]
    return "".join(users) + build_section("For those who work on Tidegate", *tasks)


def _describe(name: str, task: Task[Any]) -> str:
    arguments = task.get_arguments()
    usage = " ".join(["invoke", name, *map(_show_usage, arguments)])
    rows = [(_show_names(argument), argument.help or "") for argument in arguments]
    table = build_table(_TASK_COLUMNS, rows) if rows else ""
    return build_section(name, inspect.cleandoc(task.__doc__ or ""), f"```text\n{usage}\n```", table, level=3)


def _show_usage(argument: Argument) -> str:
    if argument.positional:
        word = argument.names[0].upper()
        return f"[{word}]" if isinstance(argument, OptionalPositional) else word
    return f"[{_show_option(argument)}]"


def _show_names(argument: Argument) -> str:
    if argument.positional:
        return quote(argument.names[0].upper())
    short = [f"-{name}" for name in argument.names if len(name) == 1]
    default = "" if argument.kind is bool or argument.default in (None, "") else f" ({argument.default})"
    return ", ".join(map(quote, [_show_option(argument), *short])) + default


def _show_option(argument: Argument) -> str:
    name = argument.names[0].replace("_", "-")
    return f"--{name}" if argument.kind is bool else f"--{name}={name.upper()}"


FOLDER = "docs/reference"
_BEGIN, _END = "<!-- generated by `invoke docs`: change what is described, not this -->", "<!-- end -->"
_PART = re.compile(rf"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}\n", re.DOTALL)
PAGES: Mapping[str, Callable[[], str]] = {
    "tasks": lambda: build_task_page(namespace),
    "stack-yaml": lambda: build_schema_page(describe_document(Settings)),
    "alert-yaml": lambda: build_schema_page(describe_document(AlertConfig)),
    "function-yaml": lambda: build_schema_page(describe_document(FunctionConfig)),
    "http-api": lambda: build_api_page(make_document()),
    "metrics": build_metric_page,
}


def build_page(text: str, generate: Callable[[], str]) -> str:
    """Return a page with what is between its comments written again; a page without them gets them at its end."""
    part = f"{_BEGIN}\n\n{generate().strip()}\n\n{_END}\n"
    if not _PART.search(text):
        return f"{text.rstrip()}\n\n{part}"
    return _PART.sub(lambda _: part, text)


def write_pages(root: Path) -> list[Path]:
    """Write the pages of the project in a folder; return those that were stale."""
    stale = []
    for name, generate in PAGES.items():
        path = root / FOLDER / f"{name}.md"
        text = path.read_text()
        if (page := build_page(text, generate)) != text:
            path.write_text(page)
            stale.append(path)
    return stale


_KEY_COLUMNS = ("key", "value", "default", "meaning")
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
        return build_section(title, part.get("description", ""), build_table(_KEY_COLUMNS, rows), note)

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
