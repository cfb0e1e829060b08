"""The tasks' own ways: names that may be left out, errors that are messages, a quick start."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TASKS = """
from stack.errors import ConfigError
from stack.cli import verb

@verb("name")
def greet(_, name="", loud=False):
    print(f"[{name}]", "loud" if loud else "soft")

@verb("name")
def need(_, name):
    print(f"<{name}>")

@verb("first", "second")
def pair(_, first, second=""):
    print(f"{first}+{second}")

@verb()
def fail(_):
    raise ConfigError(["a: is wrong", "b: is wrong too"])

@verb()
def break_down(_):
    raise KeyError("x")

@verb()
def open_nothing(_):
    open("/nowhere")

@verb()
def hang_up(_):
    raise BrokenPipeError(32, "Broken pipe")

@verb()
def say(_):
    from stack.console import show
    show("a line")
"""
# Slow to import, and of no use to a list of tasks.
HEAVY = ("pydantic", "python_on_whales", "rich", "jinja2", "pika", "paho")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def invoke(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "invoke", "--search-root", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["greet"], ["[] soft"]),
        (["greet", "ann"], ["[ann] soft"]),
        (["greet", "--loud"], ["[] loud"]),
        (["greet", "ann", "--loud"], ["[ann] loud"]),
        (["greet", "--loud", "ann"], ["[ann] loud"]),
        (["greet", "--name", "ann"], ["[ann] soft"]),
        (["need", "ann"], ["<ann>"]),
        (["pair", "a"], ["a+"]),
        (["pair", "a", "b"], ["a+b"]),
        (["need", "ann", "greet", "bob"], ["<ann>", "[bob] soft"]),
        (["greet", "ann", "need", "bob"], ["[ann] soft", "<bob>"]),
    ],
)
def test_names_that_may_be_left_out(folder: Path, arguments: list[str], lines: list[str]) -> None:
    result = invoke(folder, *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == lines


def test_name_that_is_needed(folder: Path) -> None:
    result = invoke(folder, "need")
    assert result.returncode != 0
    assert "name" in result.stderr
    assert result.stdout == ""


def test_help_is_given_also_where_a_name_is_missing(folder: Path) -> None:
    result = invoke(folder, "need", "--help")
    assert result.returncode == 0, result.stderr
    assert "need [--options]" in result.stdout
    assert "<" not in result.stdout


@pytest.mark.parametrize(
    ("word", "hint"), [("gree", " Did you mean greet?"), ("zzzz", ""), ("nee", " Did you mean need?")]
)
def test_word_that_is_no_task_is_told_with_what_is_like_it(folder: Path, word: str, hint: str) -> None:
    result = invoke(folder, word)
    assert result.returncode != 0
    assert result.stderr == f"There is no task {word!r}.{hint} `invoke --list` shows all.\n"


def test_word_too_many_is_told_with_what_the_task_takes(folder: Path) -> None:
    result = invoke(folder, "need", "a", "greet2")
    assert result.stderr == "There is no task 'greet2'. need takes NAME only; `invoke need --help` shows more.\n"


def test_error_is_a_message(folder: Path) -> None:
    result = invoke(folder, "fail")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "a: is wrong\nb: is wrong too\n"


def test_error_is_red_on_a_terminal(folder: Path) -> None:
    """And only there."""
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "invoke", "--search-root", str(folder), "fail"]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    assert subprocess.run(command, cwd=ROOT, env=environment, stdout=writer, stderr=writer, check=False).returncode == 1
    assert os.read(reader, 1000).startswith(b"\x1b[31ma: is wrong")
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("environment", [{"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "dumb"}])
def test_error_is_plain_where_colours_are_not_wanted(folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "invoke", "--search-root", str(folder), "fail"]
    result = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, check=False)
    assert result.stderr == b"a: is wrong\nb: is wrong too\n"


@pytest.mark.parametrize("task", ["greet", "say"])
def test_output_that_no_one_reads_ends_the_task_quietly(folder: Path, task: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "invoke", "--search-root", str(folder), task]
    result = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


def test_server_that_hangs_up_is_a_defect(folder: Path) -> None:
    result = invoke(folder, "hang-up")
    assert (result.returncode, "BrokenPipeError" in result.stderr) == (70, True)


def test_built_in_error_is_a_defect(folder: Path) -> None:
    result = invoke(folder, "break-down")
    assert result.returncode == 70
    assert result.stderr.startswith("This is a defect of Tidegate: KeyError: 'x'\n")
    assert "Traceback" not in result.stderr


def test_file_that_a_task_should_have_explained_is_a_defect(folder: Path) -> None:
    assert invoke(folder, "open-nothing").returncode == 70


@pytest.mark.parametrize("task", ["greet", "say"])
def test_output_that_cannot_be_written_is_told_once(folder: Path, task: str) -> None:
    command = [sys.executable, "-m", "invoke", "--search-root", str(folder), task]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "The output cannot be written: No space left on device.\n")


@pytest.mark.parametrize("task", ["fail", "break-down"])
def test_traceback_shows_with_debug(folder: Path, task: str) -> None:
    result = invoke(folder, "--debug", task)
    assert result.returncode != 0
    assert "Traceback (most recent call last)" in result.stderr
    assert "tasks.py" in result.stderr


def test_every_task_is_explained() -> None:
    document = json.loads(invoke(ROOT, "--list", "--list-format=json").stdout)
    helps = {task["name"]: task["help"] for task in document["tasks"]}
    assert helps.keys() >= {"up", "down", "status", "logs", "render", "credentials", "deploy-function", "functions"}
    assert all(helps.values()), helps
