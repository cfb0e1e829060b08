"""Keys that are accepted because Nuclio knows them, and that have no effect here."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Inert:
    """Mark a field whose value is kept but changes nothing; the text says why, or what to use instead."""

    def __init__(self, reason: str = "has no effect on Docker") -> None:
        self.reason = reason

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell the reader of the JSON Schema too."""
        return {**handler(schema), "description": f"This key {self.reason}."}


KUBERNETES = Inert("is for Kubernetes and has no effect here")


def find_inert(model: BaseModel, path: str = "") -> Iterator[str]:
    """Yield a line for each key that was given another value than its default and has no effect."""
    for name in type(model).model_fields:
        if name not in model.model_fields_set:
            continue
        field = type(model).model_fields[name]
        value = getattr(model, name)
        where = f"{path}.{field.alias or name}".lstrip(".")
        mark = next((item for item in field.metadata if isinstance(item, Inert)), None)
        if mark is None:
            yield from _find_within(value, where)
        elif value != field.get_default(call_default_factory=True):
            yield f"{where} {mark.reason}"


def _find_within(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from find_inert(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find_within(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _find_within(item, f"{path}.{number}")
