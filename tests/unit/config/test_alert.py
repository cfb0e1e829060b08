"""alerts/NAME.yaml: what may be told of, and every mistake with its path."""

from pathlib import Path
from typing import Any

import pytest

from stack.config.alert import AlertConfig, Condition, load_alerts, read_condition
from stack.config.document import parse_model
from stack.errors import ConfigError


def read(**document: Any) -> AlertConfig:
    return parse_model(AlertConfig, document, name="alerts/hot.yaml")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("temperature > 30", Condition("temperature", "last", 300, ">", "30")),
        ("temperature mean 5m>=-3.5", Condition("temperature", "mean", 300, ">=", "-3.5")),
        ('t{sensor=~".+", a="}"} max 1h30m < 1e3', Condition('t{sensor=~".+", a="}"}', "max", 5400, "<", "1e3")),
        ('t{topic="a/b"} change 2d == 0', Condition('t{topic="a/b"}', "change", 172800, "==", "0")),
        ("a:b rate 10m != .5", Condition("a:b", "rate", 600, "!=", ".5")),
    ],
)
def test_conditions_are_read(text: str, condition: Condition) -> None:
    assert read_condition(text) == condition


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "should have one of when, silent and expr"),
        ({"when": "a > 1", "expr": "b"}, "should have one of when, silent and expr"),
        ({"when": "a"}, "should be such as 'temperature > 30'"),
        ({"when": "> 3"}, "should be such as 'temperature > 30'"),
        ({"when": "a median 5m > 1"}, "mean, min, max"),
        ({"when": "a mean 5 > 1"}, "5"),
        ({"when": "a mean 10ms > 1"}, "should be at least 1s"),
        ({"when": "a > 30", "clear": "29"}, "clear should be such as '< 29.5'"),
        ({"when": "a > 30", "clear": "> 29"}, "clear should look the other way"),
        ({"when": "a > 30", "clear": "< 31"}, "clear should be no more than 30"),
        ({"when": "a < 3", "clear": "> 2"}, "clear should be no less than 3"),
        ({"when": "a == 3", "clear": "> 2"}, "clear should look the other way"),
        ({"expr": "a", "clear": "< 2"}, "clear belongs to when"),
        ({"silent": "a/b"}, "silent and after belong together"),
        ({"when": "a > 1", "after": "5m"}, "silent and after belong together"),
        ({"silent": "a/b", "after": "5"}, "after: "),
        ({"silent": "a/b", "after": "8d"}, "forget should be longer than after, 8d"),
        ({"silent": '{a="b"}', "after": "2h"}, "silent should begin with what the readings are called"),
        ({"when": '{a="b"} > 1'}, "should be such as 'temperature > 30'"),
        ({"when": "a > 1e400"}, "1e400 is more than any reading can be"),
        ({"when": "a > 1", "text": "x" * 1001}, "text: "),
        ({"when": "a > 1", "labels": {"tidegate_channel": "x"}}, "tidegate_channel is a label that Tidegate sets"),
        ({"when": "a > 1", "tests": [{"fires": {"1m": []}}]}, "should have either readings, or the name of a file"),
        ({"silent": "a/b", "after": "48h", "forget": "1d"}, "forget should be longer than after, 48h"),
        ({"when": "a > 1", "severity": "bad"}, "severity: should be one of"),
        ({"when": "a > 1", "text": "{sen sor} is hot"}, "text: should have labels such as {sensor}"),
        ({"when": "a > 1", "labels": {"1": "x"}}, "'1' is no label"),
        ({"when": "a > 1", "labels": {"severity": "x"}}, "severity is a label that Tidegate sets"),
        ({"when": "a > 1", "fore": "2m"}, "'for'"),
        ({"when": "a > 1", "tests": [{"readings": {"a": "1"}}]}, "tests.0.fires: is required"),
    ],
)
def test_mistakes(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**document)
    assert any(problem in one for one in caught.value.problems), caught.value.problems
    assert all(one.startswith("alerts/hot.yaml: ") for one in caught.value.problems)


def test_texts_may_be_templates() -> None:
    assert read(when="a > 1", text="{{ $labels.a }} {b").text


def test_alerts_are_the_files_of_a_folder(tmp_path: Path) -> None:
    assert load_alerts(tmp_path) == ()
    folder = tmp_path / "alerts"
    folder.mkdir()
    (folder / "b.yaml").write_text("when: a > 1\n")
    (folder / "a-1.yaml").write_text("expr: b\n")
    (folder / "notes.txt").write_text("x")
    assert [one.document for one in load_alerts(tmp_path)] == ["alerts/a-1.yaml", "alerts/b.yaml"]
    (folder / "ä b.yaml").write_text("when: a > 1\n")
    (folder / "c.yaml").write_text("when: a\n")
    with pytest.raises(ConfigError) as caught:
        load_alerts(tmp_path)
    assert [one.partition(": ")[0] for one in caught.value.problems] == ["alerts/c.yaml", "alerts/ä b.yaml"]
    assert [one.name for one in load_alerts(tmp_path, is_lenient=True)] == ["a-1", "b"]


@pytest.mark.parametrize("path", ["hot.yml", "sub/hot.yaml"])
def test_file_that_would_be_passed_over_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / "alerts" / path).parent.mkdir(parents=True)
    (tmp_path / "alerts" / path).write_text("when: a > 1\n")
    with pytest.raises(ConfigError) as caught:
        load_alerts(tmp_path)
    assert caught.value.problems == (f"alerts/{path}: is not read there; it should be alerts/hot.yaml",)
