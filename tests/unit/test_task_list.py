"""What `invoke --list` prints: users' tasks by group, and where developers find theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from invoke import Task

import tasks

ROOT = Path(__file__).parents[2]
TASKS = """
from invoke import Collection
from stack.cli import verb
from stack.cli import build_namespace

@verb()
def zip_up(_):
    '''Close it.'''

@verb()
def open_it(_):
    '''Open it.'''

@verb("name")
def check(_, name=""):
    '''Check it.'''
    print(f"checked {name}")

namespace = build_namespace({"Coats": (zip_up,), "Doors": (open_it,)}, Collection("dev", check), aliases=["check"])
"""
LIST = """\
Coats:

  zip-up    Close it.

Doors:

  open-it   Open it.

`invoke --help TASK` says more about one.
Those who work on Tidegate have more tasks: `invoke --list dev`.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def invoke(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "invoke", "--search-root", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_tasks_are_listed_by_group_in_the_order_given(folder: Path) -> None:
    assert invoke(folder, "--list") == LIST


def test_tasks_of_developers_are_listed_on_their_own(folder: Path) -> None:
    listed = invoke(folder, "--list", "dev")
    assert ".check   Check it." in listed
    assert "zip-up" not in listed


def test_tasks_of_developers_run_with_and_without_their_collection(folder: Path) -> None:
    assert invoke(folder, "dev.check", "all") == "checked all\n"
    assert invoke(folder, "check", "all") == "checked all\n"


def test_every_task_is_in_a_group() -> None:
    """A task that is in none cannot be run."""
    written = {value.name for value in vars(tasks).values() if isinstance(value, Task)}
    assert written == {task.name for task in tasks.namespace.tasks.values()} - {"bench", "docs", "lint", "test"}


def test_aliases_of_the_commands_that_people_know_stay() -> None:
    document = json.loads(invoke(ROOT, "--list", "--list-format=json"))
    developers = next(part for part in document["collections"] if part["name"] == "dev")
    assert {"bench", "docs", "lint", "test"} <= {task["name"] for task in document["tasks"]}
    assert {"bench", "docs", "lint", "test"} <= {task["name"] for task in developers["tasks"]}
    assert all(task["help"] for task in developers["tasks"])


@pytest.mark.parametrize("options", [("--list",), ("--help", "zip-up")])
def test_what_no_one_reads_ends_quietly(folder: Path, options: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-u", "-m", "invoke", "--search-root", str(folder), *options]
    result = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert result.stderr == b""
