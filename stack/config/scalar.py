"""YAML's scalars, read as the field they are meant for asks."""

from typing import Any, get_args, get_origin

from stack.config.shape import strip_annotation


def fit_scalars(annotation: Any, value: Any) -> Any:
    """Turn numbers and truth values into texts wherever a text is asked for.

    Nuclio reads `value: 5` and `value: true` as the texts "5" and "true", since it turns YAML into JSON guided by the
    types of its fields; so is a null among a mapping's texts an empty one.
    """
    plain = strip_annotation(annotation)
    if plain is str:
        return _as_text(value)
    if get_origin(plain) is list and isinstance(value, list):
        return [fit_scalars(get_args(plain)[0], item) for item in value]
    if get_origin(plain) is dict and isinstance(value, dict):
        return {key: _fit_item(get_args(plain)[1], item) for key, item in value.items()}
    return value


def _fit_item(annotation: Any, value: Any) -> Any:
    return "" if value is None and strip_annotation(annotation) is str else fit_scalars(annotation, value)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value) if isinstance(value, int) else value
