"""The reference of the HTTP API, from its OpenAPI document."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from stack.dev.reference.markdown import build_section, build_table, quote

_SCHEMAS = "#/components/schemas/"


def build_api_page(document: Mapping[str, Any]) -> str:
    """Return every operation, by resource."""
    resources: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            section = _build_operation(method.upper(), path, operation)
            resources.setdefault(operation["tags"][0], []).append(section)
    return "".join(build_section(title, *sections) for title, sections in resources.items())


def _build_operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
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
