"""Two configurations of one function, joined as Nuclio joins them."""

from typing import Any

from stack.config.function import DEFAULT_HTTP, FunctionConfig
from stack.config.introspect import known_keys, model_of, step_into
from stack.contract import HTTP

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def merge_configs(base: dict[str, Any], fill: dict[str, Any]) -> dict[str, Any]:
    """Fill what a function's configuration leaves empty; `base` wins wherever it says something.

    Mappings are joined key by key and `env` by the variables' names. Of two http triggers the default one goes.
    """
    merged: dict[str, Any] = _merge(FunctionConfig, base, fill)
    triggers = _find(_find(merged, "spec"), "triggers")
    kinds = {name: _find(trigger, "kind") for name, trigger in triggers.items()} if isinstance(triggers, dict) else {}
    if list(kinds.values()).count(HTTP) > 1:
        triggers.pop(DEFAULT_HTTP, None)
    return merged


def handler_of(document: dict[str, Any]) -> str:
    """Return the handler that a configuration names, if it does."""
    handler = _find(_find(document, "spec"), "handler")
    return handler if isinstance(handler, str) else ""


def name_of(document: dict[str, Any]) -> str:
    """Return the name that a configuration gives its function, if it does."""
    name = _find(_find(document, "metadata"), "name")
    return name if isinstance(name, str) else ""


def _merge(annotation: Any, base: Any, fill: Any) -> Any:
    if base in _EMPTY:
        return fill
    if not isinstance(base, dict) or not isinstance(fill, dict):
        return base
    merged = {_spell(annotation, key): item for key, item in base.items()}
    for key, item in ((_spell(annotation, key), item) for key, item in fill.items()):
        inner = step_into(annotation, key)
        merged[key] = _join_variables(merged.get(key), item) if key == "env" else _merge(inner, merged.get(key), item)
    return merged


def _join_variables(base: Any, fill: Any) -> Any:
    if not isinstance(base, list) or not isinstance(fill, list):
        return base or fill
    known = [_find(variable, "name") for variable in base]
    return [*base, *(variable for variable in fill if _find(variable, "name") not in known)]


def _spell(annotation: Any, key: Any) -> Any:
    """Return a model's key as the model spells it, and any other as it is."""
    model = model_of(annotation)
    keys = known_keys(model) if model else []
    return next((known for known in keys if known.lower() == str(key).lower()), key)


def _find(value: Any, wanted: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((item for key, item in value.items() if str(key).lower() == wanted), None)
