"""Keys that a document has and its model does not: left out where somebody else wrote them."""

from typing import Any

from pydantic import BaseModel, ValidationError

from stack.config.shape import look_up


def drop_unknown(model: type[BaseModel], document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a document without the keys that its model does not know, and their paths."""
    paths: list[list[str]] = []
    try:
        model.model_validate(document)
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if detail["type"] == "extra_forbidden"]
        paths = [look_up(model, detail["loc"])[0] for detail in details]
    rest: Any = document
    for path in paths:
        rest = _drop(rest, path)
    return rest, tuple(".".join(path) for path in paths)


def _drop(value: Any, path: list[str]) -> Any:
    head, *tail = path
    if isinstance(value, list):
        return [_drop(item, tail) if str(number) == head else item for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    items = ((key, item, str(key).lower() == head.lower()) for key, item in value.items())
    return {key: _drop(item, tail) if is_here else item for key, item, is_here in items if tail or not is_here}
