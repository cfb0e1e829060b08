"""JSON Schema of the files that people write, for editors that complete and check them."""

import ast
import inspect
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from stack import console
from stack.config.document import Document, NuclioDocument
from stack.config.function import FunctionConfig
from stack.config.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


_NULL = {"type": "null"}
# What is read as a text; a null among a mapping's texts is an empty one.
_TEXTS = ["string", "number", "boolean"]
# What a schema says of a value without asking anything of it.
_NOTES = frozenset({"default", "description", "title", "examples", "deprecated"})


def print_schema(*, of_stack: bool) -> None:
    """Print the JSON Schema of function.yaml, or of stack.yaml."""
    console.show_json(describe_document(Settings if of_stack else FunctionConfig))


def describe_document(model: type[Document]) -> dict[str, Any]:
    """Return the JSON Schema of a file; keys are spelled as its documentation spells them."""
    return {"$schema": DIALECT, **model.model_json_schema(by_alias=True, schema_generator=_Generator)}


def describe_models(models: Iterable[type[Document]], reference: str) -> dict[str, Any]:
    """Return the JSON Schemas of documents and of all their parts, by name; `reference` is put before a name.

    Such as `#/components/schemas/`, where OpenAPI keeps them.
    """
    wanted: list[tuple[type[Document], JsonSchemaMode]] = [(model, "validation") for model in models]
    _, schema = models_json_schema(wanted, ref_template=f"{reference}{{model}}", schema_generator=_Generator)
    return dict(schema["$defs"])


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which also takes the docstrings of fields, and knows where a number is read as a text."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave out the titles that only repeat a field's name."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        model = schema["cls"]
        texts = {name: text for owner in reversed(model.__mro__) for name, text in _field_docstrings(owner).items()}
        for name, field in model.model_fields.items():
            content = described.get("properties", {}).get(field.alias or name)
            if content is not None and name in texts:
                content["description"] = " ".join([*filter(None, [content.get("description")]), texts[name]])
            if content is not None and issubclass(model, NuclioDocument):
                _take_numbers(content)
                if not field.is_required():
                    described["properties"][field.alias or name] = _take_null(content)
        return described


def _take_numbers(schema: dict[str, Any]) -> None:
    """Let a number or a truth value stand wherever a text is asked for, as the models do."""
    if schema.get("type") == "string" and not schema.keys() & {"enum", "const", "pattern"}:
        schema["type"] = _TEXTS
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _take_numbers(schema[key])
    if (item := schema.get("additionalProperties")) and item is not True and item.get("type") == _TEXTS:
        item["type"] = [*_TEXTS, "null"]


def _take_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a null stand for a key that is left out, as the models do."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if "null" in kinds or not schema.keys() - _NOTES:
        return schema
    if kinds and not schema.keys() & {"enum", "const"}:
        return schema | {"type": [*kinds, "null"]}
    choices = schema.get("anyOf") or [{key: value for key, value in schema.items() if key not in _NOTES}]
    kept = {key: value for key, value in schema.items() if key in _NOTES}
    return {"anyOf": choices if _NULL in choices else [*choices, _NULL], **kept}


def _field_docstrings(model: type) -> dict[str, str]:
    """Read the texts under a class's fields, which Python itself forgets."""
    if not (issubclass(model, Document) and model is not Document):
        return {}
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    found: dict[str, str] = {}
    lines = body.body if isinstance(body, ast.ClassDef) else []
    for line, after in pairwise(lines):
        is_field = isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if is_field and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[line.target.id] = inspect.cleandoc(str(after.value.value))  # type: ignore[attr-defined]
    return found
