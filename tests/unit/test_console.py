"""What is printed where."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stack import console
from stack.errors import HostError

ROOT = Path(__file__).parents[2]


def run(code: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", f"from stack.console import *\n{code}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.parametrize("verb", ["say", "note", "success", "warn"])
def test_messages_go_to_standard_error_as_they_are(verb: str) -> None:
    text = "[bold] 5 % of /a/b [/x] " + "long " * 60
    result = run(f"{verb}({text!r})")
    assert result.stdout == ""
    assert result.stderr == ("warning: " if verb == "warn" else "") + text + "\n"


def test_results_go_to_standard_output() -> None:
    result = run("show('[x] a result'); show_json({'a': [1, 'ü']})")
    assert result.stderr == ""
    line, _, document = result.stdout.partition("\n")
    assert line == "[x] a result"
    assert json.loads(document) == {"a": [1, "ü"]}


def test_row_of_a_table_is_one_line_in_a_pipe() -> None:
    result = run("show_table(('a', 'b'), [{'a': 'x' * 60, 'b': 'y' * 60}, {'a': '[bold]', 'b': ''}])")
    assert [line.split() for line in result.stdout.splitlines()] == [["a", "b"], ["x" * 60, "y" * 60], ["[bold]"]]


def test_pipe_is_told_without_what_paints() -> None:
    """To import it takes a good part of the time of a short task."""
    code = "import sys\nsay('x'); note('x'); success('x'); warn('x')\n"
    result = run(code + "print([name for name in sys.modules if name.partition('.')[0] == 'rich'])")
    assert result.stdout.splitlines()[-1] == "[]"


def test_work_says_how_long_it_took() -> None:
    result = run("with working('Building') as work: work.follow(['a line'])")
    assert result.stderr.startswith("Building: 0.")
    assert "a line" not in result.stderr


def test_nobody_can_be_asked_in_a_pipe() -> None:
    assert console.confirm("Really?", yes=True)
    assert (
        "HostError: Really? Nobody can be asked here; add --yes to do it."
        in run("confirm('Really?', yes=False)").stderr
    )


@pytest.mark.parametrize(("answer", "expected"), [("y", True), ("YES ", True), ("n", False), ("", False)])
def test_question(answer: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    assert console.confirm("Really?", yes=False) is expected


def test_unasked_question_changes_nothing() -> None:
    with pytest.raises(HostError):
        console.confirm("Really?", yes=False)
