"""Templates of Nuclio's gallery: values are put in, and nothing is run."""

from typing import Any

import pytest

from stack.errors import ConfigError
from stack.plan.scaffold import render_template


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a: {{ .text }}", "x: y"),
        ("a: {{.number}}", 2),
        ("a: {{ .yes }}", True),
        ("a: {{ .deep.er }}", [1, {"b": None}]),
        ("a: '<  {{- .number -}}  >'", "<2>"),
        ("a: '<  {{ .number }}  >'", "<  2  >"),
        ("a: b{{/* a comment */}}", "b"),
        ("a: '{}'", "{}"),
    ],
)
def test_values_are_put_in(template: str, expected: Any) -> None:
    values = {"text": '"x: y"', "number": 2, "yes": True, "deep": {"er": [1, {"b": None}]}}
    assert render_template(template, values) == {"a": expected}


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("a: {{ .missing }}", "template: {{ .missing }}: there is no value 'missing'"),
        ("a: {{ .name.deeper }}", "template: {{ .name.deeper }}: there is no value 'deeper'"),
        ("{{ .__class__.__mro__ }}", "template: {{ .__class__.__mro__ }}: there is no value '__class__'"),
        ("{{}}", "template: {{}}: only the name of a value is understood here, such as {{ .name }}"),
        ("a: {{ .name", "template: an action has no end"),
        (
            "a: [{{ .name }}",
            "template: line 2, column 1: a [ that was opened above is not closed, or a comma is missing",
        ),
        ("- {{ .name }}", "template: should be a mapping of keys to values, not ['x']"),
    ],
)
def test_what_cannot_be_rendered_is_said(template: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render_template(template, {"name": "x"})
    assert str(caught.value) == problem


def test_every_problem_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        render_template("{{ .a }} {{ if .b }} {{ .a }}", {})
    assert len(caught.value.problems) == 2


def test_long_template_takes_no_longer_than_its_length() -> None:
    with pytest.raises(ConfigError, match="no end"):
        render_template("{{ " * 300_000, {})
