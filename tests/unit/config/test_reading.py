"""YAML as people write it."""

import time
from typing import Any

import pytest

from stack.config.yaml_loader import parse_mapping
from stack.errors import ConfigError

_SECOND = "another document begins here; a file holds one, so take out this --- and what follows"
_BRACE = 'a { stands within a value; put quotes around the whole value, such as "plant/{id}/state"'
_ALIAS = "a value that begins with * is an alias, and one with & names one; put quotes around it"
_COLON = 'a colon makes this a key, and none can stand here; put quotes around a value that has ": " in it'
_TAB = "a tab stands here; YAML is indented by spaces"


def multiply(first: str, each: str, count: int = 30) -> str:
    """Return YAML whose every line names the one before several times."""
    lines = [f"a0: &a0 {first}", *(f"a{n}: &a{n} {each.replace('@', f'*a{n - 1}')}" for n in range(1, count))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (multiply("[1, 2, 3]", "[@, @, @]"), "more than 100000 values"),
        (multiply("{x: 1, y: 2}", "{<<: [@, @, @]}"), "more than 100000 values"),
        (multiply("{x: 1, y: 2}", "{<<: @, z: @}"), "more than 100000 values"),
        (multiply("[1]", "[@]", 200), "nested deeper than 64"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {<<: *a}", "holds itself"),
    ],
)
def test_what_a_few_lines_make_endless_is_refused(text: str, problem: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=problem):
        parse_mapping(text, "f")
    assert time.monotonic() - begun < 5


def test_aliases_and_merge_keys_as_people_use_them() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n"
    assert parse_mapping(text, "f") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [{"x": 1, "y": 2}] * 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, text) for text in ("12:30", "-1:20", "190:20:30.5", "12:30:00.", "2024-01-01", "2024-01-01 12:30:00")),
        *((text, text) for text in ("0o17", "1e3")),
        ("017", 15),
        ("0x1f", 31),
        ("0b11", 3),
        ("1_000", 1000),
        (".5", 0.5),
        ("1.5", 1.5),
    ],
)
def test_numbers_and_texts(text: str, value: Any) -> None:
    assert parse_mapping(f"a: {text}", "f") == {"a": value}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n---\nb: 2\n", f"line 2, column 1: {_SECOND}"),
        ("---\na: 1\n---\n", f"line 3, column 1: {_SECOND}"),
        ("ä: é\nspec:\n \ta: 1", f"line 3, column 2: {_TAB}"),
        ("spec:\n  a: 1\n\tb: 2", f"line 3, column 1: {_TAB}"),
        ("cron: * * * * *", f"line 1, column 8: {_ALIAS}"),
        ("a: *x", f"line 1, column 4: {_ALIAS}"),
        ("topics: [#]", "line 2, column 1: no value is here; one that begins with # needs quotes"),
        ("a: {id}/x", "line 1, column 8: this does not go on the value before it; put quotes around the whole value"),
        ("a:\n  b: 1\n c: 2", "line 3, column 2: this line is indented otherwise than those it belongs to"),
        (
            "a: b: c",
            f"line 1, column 5: {_COLON}",
        ),
        ('a: "b', "line 1, column 6: a quote that was opened above is not closed"),
        ("a: @x", "line 1, column 4: no value begins with @; put quotes around it"),
        ("a: [b/{id}/c]", f"line 1, column 7: {_BRACE}"),
        ("a: {b: c/{id}/d}", f"line 1, column 10: {_BRACE}"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' occurs twice"),
    ],
)
def test_what_is_wrong_is_said_in_words(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_mapping(text, "f")
    assert list(caught.value.problems) == [f"f: {problem}"]
