"""The command `tidegate`, in a workspace of one's own."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from stack.command import find_root
from stack.config.settings import load_settings
from stack.run.new_workspace import name_project
from stack.state.workspace import PROGRAM, VARIABLE

TIDEGATE = Path(sys.executable).with_name("tidegate")


def run(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([TIDEGATE, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_workspace_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    made = run("new-workspace", "My plant", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    root = tmp_path / "My plant"
    assert f"{root} is a workspace, with the project my-plant." in made.stderr
    assert load_settings(root).project == "my-plant"
    # A folder that is there on every machine, and in every PATH.
    assert f"`ln -sf {TIDEGATE} /usr/local/bin/`" in made.stderr
    written = run("new-function", "thermo", folder=root / "functions")
    assert written.returncode == 0, written.stderr
    assert (root / "functions/thermo/main.py").is_file()
    assert "  tidegate deploy-function thermo " in written.stderr
    assert {path.name for path in root.iterdir()} >= {".gitignore", "README.md", "functions", "stack.yaml"}
    again = run("new-workspace", str(root), folder=tmp_path)
    assert (again.returncode, "has stack.yaml, README.md, .gitignore already" in again.stderr) == (1, True)


def test_workspace_is_that_of_the_nearest_stack_yaml(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    assert find_root(tmp_path / "a/b") == PROGRAM
    (tmp_path / "stack.yaml").touch()
    assert find_root(tmp_path / "a/b") == tmp_path


@pytest.mark.parametrize(("folder", "project"), [("Plant 7", "plant-7"), ("_x", "x"), ("Ω", "tidegate")])
def test_project_is_named_after_the_folder(folder: str, project: str) -> None:
    assert name_project(folder) == project


def test_without_arguments_it_lists_what_there_is(tmp_path: Path) -> None:
    listed = run(folder=tmp_path)
    assert (listed.returncode, "deploy-function" in listed.stdout) == (0, True)
    assert "`tidegate --help TASK`" in listed.stdout
    unknown = run("deply", folder=tmp_path)
    assert (unknown.returncode, "`tidegate --list` shows all" in unknown.stderr) == (1, True)
    assert run("--version", folder=tmp_path).stdout.strip() == f"Tidegate {version('tidegate')}"
