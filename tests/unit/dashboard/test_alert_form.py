"""A file of alerts/ as a form."""

import pytest

from stack.dashboard.form.alert import apply_form, check_text, find_rest, lay_out
from stack.dashboard.form.field import Sent

TEXT = "# The oven.\nwhen: temperature > 30  # degrees\nfor: 2m\n"
# What a browser sends of a form in which nothing was changed.
SAME = {"when": ["temperature > 30"], "for": ["2m"], "forget": ["7d"], "severity": ["warning"]}
EMPTY: Sent = {key: [""] for key in ("clear", "silent", "after", "expr", "text", "labels", "every")}


def apply(text: str = TEXT, **changed: str) -> str:
    return apply_form(text, {**EMPTY, **SAME, **{key.rstrip("_"): [value] for key, value in changed.items()}}).text


def test_what_is_not_changed_stays_as_it_is_written() -> None:
    assert apply() == TEXT


def test_changes_are_written_into_the_text() -> None:
    changed = apply(clear="< 29", for_="0s", labels="team: plant", severity="critical")
    assert changed.startswith("# The oven.\nwhen: temperature > 30  # degrees\n")
    assert "for:" not in changed and "clear: < 29\n" in changed and "severity: critical\n" in changed
    assert "labels:\n  team: plant\n" in changed


def test_what_a_form_has_no_field_for_stays() -> None:
    tests = "tests:\n- readings: {a: 1x5}\n  fires: {1m: []}\n"
    assert tests in apply(TEXT + tests, clear="< 29")


def test_a_new_file_is_made() -> None:
    assert apply("", when="a > 1", for_="0s") == "when: a > 1\n"


def test_what_is_no_yaml_is_told_beside_its_field() -> None:
    sent = {**EMPTY, **SAME, "labels": ["{team"]}
    result = apply_form(TEXT, sent)
    assert result.text == TEXT
    (labels, _) = lay_out(TEXT, result.problems, sent)[-1].cells
    assert "is no YAML" in labels.error and labels.value == "{team"


@pytest.mark.parametrize(
    ("text", "opened"),
    [("", "A value"), ("when: a > 1\n", "A value"), ("silent: a\nafter: 1m\n", "Silence"), ("expr: a\n", "A query")],
)
def test_the_way_that_is_used_is_open(text: str, opened: str) -> None:
    groups = {group.title: group.is_open for group in lay_out(text) if group.title in ("A value", "Silence", "A query")}
    assert [title for title, is_open in groups.items() if is_open] == [opened]


def test_problems_are_beside_their_fields_or_above_them() -> None:
    text = "when: a > 1\nfor: soon\nwhn: 3\n"
    problems = check_text(text)
    groups = lay_out(text, problems)
    beside = {cell.field.key: cell.error for group in groups for cell in group.cells if cell.error}
    assert list(beside) == ["for"] and [one.path for one in find_rest(groups, problems)] == [("whn",)]
