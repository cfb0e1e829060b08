"""JSON merge patches (RFC 7396), what of a wished document another does not have, and how deep one is."""

from collections.abc import Mapping
from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """Return a document with a patch in it: objects are merged, null takes a member away, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def find_delta(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is desired and not reported so; what is reported alone is no difference."""
    delta: dict[str, Any] = {}
    for name, value in desired.items():
        other = reported.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            if inner := find_delta(value, other):
                delta[name] = inner
        elif name not in reported or not _is_same(value, other):
            delta[name] = value
    return delta


def is_deeper(document: Any, levels: int) -> bool:
    """Return whether a document has more levels of objects and lists."""
    level = [document]
    for _ in range(levels):
        level = [
            inner
            for one in level
            if isinstance(one, Mapping | list)
            for inner in (one.values() if isinstance(one, Mapping) else one)
        ]
    return any(isinstance(one, Mapping | list) for one in level)


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same in JSON, where true is no 1, as it is in Python."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
