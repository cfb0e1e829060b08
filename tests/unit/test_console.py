"""What is printed where."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack import console
from stack.errors import COMMAND_VARIABLE, HostError, name_command

ROOT = Path(__file__).parents[2]


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", f"from stack.console import *\n{code}"]
    environment = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


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


TIMES = "a :x: 12:100:30 [b] \\\\"


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("code", ["show({0!r})", "say({0!r})", "show_table(('a',), [{{'a': {0!r}}}])"])
def test_what_looks_like_an_emoji_or_a_style_is_none(terminal: bool, code: str) -> None:
    color = {"FORCE_COLOR": "1", "NO_COLOR": "1"} if terminal else {}
    result = run(code.format(TIMES), **color)
    assert TIMES in result.stdout + result.stderr


@pytest.mark.parametrize("code", ["show({0!r})", "warn({0!r})", "show_table(('a',), [{{'a': {0!r}}}])"])
def test_what_would_control_a_terminal_is_shown_and_not_done(code: str) -> None:
    """A message of a device that was stolen is shown to whom it may deceive."""
    result = run(code.format("é\x1b[2J\x07\x00\x9b2J"), FORCE_COLOR="1", NO_COLOR="1")
    assert r"é\x1b[2J\x07\x00\x9b2J" in result.stdout + result.stderr


def test_work_shows_lines_as_they_are() -> None:
    code = f"with working('a [b] :x:') as work: work.follow([{TIMES!r}]); work._status.stop()"
    shown = run(code, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm").stderr
    assert f"a [b] :x: … {TIMES}" in re.sub(r"\x1b\[\d+m", "", shown)


def test_work_says_how_long_it_took() -> None:
    result = run("with working('Building') as work: work.follow(['a line'])")
    assert result.stderr.startswith("Building: 0.")
    assert "a line" not in result.stderr


def test_no_one_can_be_asked_in_a_pipe() -> None:
    assert console.ask("Really?", yes=True)
    assert (
        "HostError: Really? No one can be asked here; add --yes to do it."
        in run("confirm('Really?', yes=False)").stderr
    )


@pytest.mark.parametrize(("answer", "expected"), [("y", True), ("YES ", True), ("n", False), ("", False)])
def test_question(answer: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    assert console.ask("Really?", yes=False) is expected


@pytest.mark.parametrize("keys", ["n\n", "\x04"])
def test_who_says_no_is_told_that_nothing_was_changed(keys: str) -> None:
    """And so is who presses Ctrl-D; what was asked for is not done, and the exit status says so."""
    keyboard, terminal = os.openpty()
    os.write(keyboard, keys.encode())
    code = "from stack.console import confirm; confirm('Really [bold] :x:?', yes=False)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdin=terminal, capture_output=True, text=True, check=False
    )
    os.close(keyboard)
    os.close(terminal)
    assert result.stderr.startswith("Really [bold] :x:? [y/N] ")
    assert result.stderr.endswith("DeclinedError: Nothing was changed.\n")


def test_unasked_question_changes_nothing() -> None:
    with pytest.raises(HostError):
        console.confirm("Really?", yes=False)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("Next: `invoke up`, or `invoke demo`.", "Next: `tidegate up`, or `tidegate demo`."),
        ("Build it again: invoke deploy-function thermo.", "Build it again: tidegate deploy-function thermo."),
        ("invoke invoke-function thermo --body 1", "tidegate invoke-function thermo --body 1"),
        ("Functions invoke others; `invoke` is Python's.", "Functions invoke others; `invoke` is Python's."),
    ],
)
def test_commands_are_those_of_the_program_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, message: str, named: str
) -> None:
    assert name_command(message) == message
    monkeypatch.setenv(COMMAND_VARIABLE, "tidegate")
    assert name_command(message) == named
