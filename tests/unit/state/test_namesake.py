"""Functions whose names differ in case only."""

from pathlib import Path

import pytest

from stack.errors import ConflictError
from stack.run.creation import CreationRequest, create_function, new_function
from stack.run.import_export import import_functions
from stack.state.deployment import check_namesakes
from stack.state.workspace import Workspace

REFUSED = "differ in capital letters only, and would share an image and an address: choose another name for"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    new_function("stats", "http")
    return Workspace(tmp_path)


def test_new_and_imported_functions(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match=f"^Stats and stats {REFUSED} functions/Stats or functions/stats"):
        new_function("Stats", "http")
    with pytest.raises(ConflictError, match=REFUSED):
        create_function(workspace, CreationRequest("STATS"), template="http")
    (tmp_path / "one.yaml").write_text("metadata: {name: sTats}\nspec: {build: {functionSourceCode: cGFzcwo=}}\n")
    with pytest.raises(ConflictError, match=REFUSED):
        import_functions(str(tmp_path / "one.yaml"), name="", force=True, to_broker=False)
    assert [path.name for path in (tmp_path / "functions").iterdir()] == ["stats"]


def test_one_that_is_deployed_without_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / ".stack" / "state" / "functions").mkdir(parents=True)
    (tmp_path / ".stack" / "state" / "functions" / "Gone.json").touch()
    with pytest.raises(ConflictError, match=REFUSED):
        new_function("gone", "http")
    check_namesakes(workspace, "Gone", "stats", "other")
    with pytest.raises(ConflictError, match=REFUSED):
        check_namesakes(workspace, "a", "A")
