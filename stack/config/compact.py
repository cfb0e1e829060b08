"""Models as a person would write them: no key that says nothing."""

from typing import Any

from pydantic import BaseModel


def write_compact(model: BaseModel) -> dict[str, Any]:
    """Return what was given, in the model's order and its kind first, without what is empty and would be so anyhow."""
    written: dict[str, Any] = {}
    for name, field in sorted(type(model).model_fields.items(), key=lambda item: item[0] != "kind"):
        value = getattr(model, name)
        if name not in model.model_fields_set or (not value and value == field.get_default(call_default_factory=True)):
            continue
        content = _write(value)
        if content or not isinstance(value, BaseModel) or field.is_required() or field.default is None:
            written[field.alias or name] = content
    return written


def _write(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return write_compact(value)
    if isinstance(value, dict):
        return {key: _write(item) for key, item in value.items()}
    return [_write(item) for item in value] if isinstance(value, list) else value
