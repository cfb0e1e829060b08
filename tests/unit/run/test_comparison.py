"""The files of revisions: kept at a deploy, compared, and given back to the folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from stack.config.settings import Settings
from stack.config.source import load_function
from stack.errors import FunctionError
from stack.plan.function import plan_function
from stack.run.revision import compare_revisions, restore_revision
from stack.state.deployment import find_deployment, forget_deployment, forget_revisions, record_deployment
from stack.state.revision_files import LARGEST_FILE_BYTES, find_snapshot
from stack.state.workspace import Workspace

_CODE = "def handler(context, event):\n    return 'one'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "functions" / "echo"
    made.mkdir(parents=True)
    (made / "main.py").write_text(_CODE)
    (made / "function.yaml").write_text("spec:\n  handler: main:handler\n")
    return made


def _deploy(folder: Path, image: str) -> Workspace:
    workspace = Workspace(folder.parents[1])
    record_deployment(workspace, plan_function(load_function(folder), Settings()), image=image)
    return workspace


def test_two_revisions_are_compared_and_one_with_the_folder(folder: Path) -> None:
    _deploy(folder, "echo:1")
    (folder / "main.py").write_text(_CODE.replace("one", "two"))
    (folder / "units.py").write_text("K = 273.15\n")
    workspace = _deploy(folder, "echo:2")
    found = compare_revisions(workspace, "echo", before=1, after=2)
    assert found.has_files
    assert [(one.path, one.kind) for one in found.differences] == [("main.py", "changed"), ("units.py", "added")]
    assert compare_revisions(workspace, "echo", before=2, after=0).differences == ()
    (folder / "function.yaml").write_text("spec:\n  handler: main:handler\n  minReplicas: 2\n")
    assert [one.path for one in compare_revisions(workspace, "echo", before=2, after=0).differences] == [
        "function.yaml"
    ]


def test_a_folder_that_is_wrong_now_can_be_compared(folder: Path) -> None:
    workspace = _deploy(folder, "echo:1")
    (folder / "function.yaml").write_text("spec: [")
    assert [one.path for one in compare_revisions(workspace, "echo", before=1, after=0).differences] == [
        "function.yaml"
    ]


def test_a_rollback_has_the_files_of_what_it_went_back_to(folder: Path) -> None:
    _deploy(folder, "echo:1")
    older = find_deployment(Workspace(folder.parents[1]), "echo")
    (folder / "main.py").write_text(_CODE.replace("one", "two"))
    workspace = _deploy(folder, "echo:2")
    record_deployment(workspace, older.plan(Settings()), image=older.image)
    assert compare_revisions(workspace, "echo", before=1, after=3).differences == ()
    assert compare_revisions(workspace, "echo", before=2, after=3).differences != ()


def test_a_folder_gets_the_files_of_a_revision_back(folder: Path) -> None:
    _deploy(folder, "echo:1")
    (folder / "main.py").write_text("")
    (folder / "later.py").write_text("")
    (folder / "function.yaml").unlink()
    workspace = Workspace(folder.parents[1])
    restore_revision(workspace, "echo", 1)
    assert (folder / "main.py").read_text() == _CODE
    assert sorted(path.name for path in folder.iterdir()) == ["function.yaml", "main.py"]


def test_what_only_its_owner_may_read_stays_so(folder: Path) -> None:
    (folder / "main.py").chmod(0o600)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    workspace = _deploy(folder, "echo:1")
    kept = workspace.state / "revisions/echo/1"
    assert {path.name: path.stat().st_mode & 0o777 for path in kept.iterdir()} == {
        "function.yaml": 0o600,
        "main.py": 0o600,
        "run.sh": 0o700,
    }
    (folder / "main.py").write_text("")
    (folder / "run.sh").unlink()
    restore_revision(workspace, "echo", 1)
    assert (folder / "main.py").stat().st_mode & 0o777 == 0o600
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755


def test_large_files_are_left_out_and_left_alone(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"\1" * (LARGEST_FILE_BYTES + 1))
    workspace = _deploy(folder, "echo:1")
    assert set(find_snapshot(workspace, "echo", number=1) or {}) == {"function.yaml", "main.py"}
    assert compare_revisions(workspace, "echo", before=1, after=0).differences == ()
    (folder / "main.py").write_text("")
    restore_revision(workspace, "echo", 1)
    assert (folder / "model.bin").stat().st_size == LARGEST_FILE_BYTES + 1


def test_a_file_that_changed_during_the_deploy_is_not_kept(folder: Path) -> None:
    plan = plan_function(load_function(folder), Settings())
    (folder / "main.py").write_text("later")
    workspace = Workspace(folder.parents[1])
    record_deployment(workspace, plan, image="echo:1")
    assert set(find_snapshot(workspace, "echo", number=1) or {}) == {"function.yaml"}


def test_without_files_the_configurations_are_compared(folder: Path) -> None:
    plan = plan_function(load_function(folder), Settings())
    files = tuple(replace(one, digest="") for one in plan.function.files)
    workspace = Workspace(folder.parents[1])
    record_deployment(workspace, replace(plan, function=replace(plan.function, files=files)), image="echo:1")
    (folder / "function.yaml").write_text("spec:\n  handler: main:handler\n  minReplicas: 2\n")
    (folder / "main.py").write_text("")
    found = compare_revisions(workspace, "echo", before=1, after=0)
    assert not found.has_files
    assert [(one.path, one.added) for one in found.differences] == [("function.yaml", 1)]
    with pytest.raises(FunctionError, match="not kept"):
        restore_revision(workspace, "echo", 1)


def test_files_go_with_their_revision(folder: Path) -> None:
    _deploy(folder, "echo:1")
    (folder / "main.py").write_text("")
    workspace = _deploy(folder, "echo:2")
    forget_revisions(workspace, "echo", oldest=2)
    assert find_snapshot(workspace, "echo", number=1) is None
    assert find_snapshot(workspace, "echo", number=2) is not None
    with pytest.raises(FunctionError, match="no revision 1"):
        compare_revisions(workspace, "echo", before=1, after=2)
    forget_deployment(workspace, "echo")
    assert find_snapshot(workspace, "echo", number=2) is None
