"""Projects are files that people can read, and also what functions say they belong to."""

from pathlib import Path

import pytest

from stack.config.document import parse_model
from stack.config.project import Project
from stack.config.source import function_folders
from stack.errors import ConfigError
from stack.state.project import list_projects, remove_project, save_project
from stack.state.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def project(name: str, **spec: object) -> Project:
    return parse_model(Project, {"metadata": {"name": name}, "spec": spec}, name="project")


def test_there_is_a_default_project_in_an_empty_workspace(workspace: Workspace) -> None:
    assert list(list_projects(workspace)) == ["default"]


def test_saved_project_is_a_file_that_people_can_read(workspace: Workspace) -> None:
    save_project(workspace, project("plant", description="Hall 3: ovens", owner="ann"))
    path = workspace.root / "functions/.projects/plant.yaml"
    assert path.read_text() == "metadata:\n  name: plant\nspec:\n  description: 'Hall 3: ovens'\n  owner: ann\n"
    assert list_projects(workspace)["plant"].spec.description == "Hall 3: ovens"


def test_functions_make_projects_exist(workspace: Workspace) -> None:
    save_project(workspace, project("plant"))
    assert list(list_projects(workspace, ["Wild/../name", "plant"])) == ["Wild/../name", "default", "plant"]


def test_removed_project_is_gone_with_its_folder(workspace: Workspace) -> None:
    save_project(workspace, project("plant"))
    remove_project(workspace, "plant")
    remove_project(workspace, "plant")
    assert list(list_projects(workspace)) == ["default"]
    assert list((workspace.root / "functions").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "Plant", "-a", "a-", "a.b", "x" * 64])
def test_name_that_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match=r"metadata\.name: should be at most 63"):
        project(name)


def test_name_that_was_never_saved_removes_nothing(workspace: Workspace) -> None:
    outside = workspace.root / "functions" / "victim.yaml"
    outside.parent.mkdir()
    outside.write_text("x")
    remove_project(workspace, "../victim")
    assert outside.exists()


@pytest.mark.parametrize("text", ["- a list", "metadata: {name: other}", "metadata: {name: plant, colour: red}"])
def test_wrong_file_stands_for_its_name(workspace: Workspace, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = workspace.root / "functions/.projects/plant.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert list_projects(workspace)["plant"].spec.description == ""
    assert ("functions/.projects/plant.yaml" in capsys.readouterr().err) == ("other" not in text)


def test_folders_of_projects_and_events_are_no_functions(workspace: Workspace) -> None:
    """Not even with a project that is called `function`, whose file is called as a function's is."""
    save_project(workspace, project("function"))
    save_project(workspace, project("main"))
    assert function_folders(workspace.root) == {}
