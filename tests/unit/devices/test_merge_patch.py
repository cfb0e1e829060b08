"""JSON merge patches: the examples of RFC 7396, and differences."""

from typing import Any

import pytest

from stack.devices.merge_patch import find_delta, merge_patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(
    ("desired", "reported", "delta"),
    [
        ({"fan": "on"}, {"fan": "off", "t": 3}, {"fan": "on"}),
        ({"fan": "on"}, {"fan": "on"}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": {"b": 1}}),
        ({"a": {}}, {}, {"a": {}}),
        ({"a": True}, {"a": 1}, {"a": True}),
        ({"a": [1, True]}, {"a": [1, 1]}, {"a": [1, True]}),
        ({"a": 1}, {"a": 1.0}, {}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, {}),
    ],
)
def test_difference(desired: dict[str, Any], reported: dict[str, Any], delta: dict[str, Any]) -> None:
    assert find_delta(desired, reported) == delta
    assert find_delta(desired, merge_patch(reported, delta)) == {}
