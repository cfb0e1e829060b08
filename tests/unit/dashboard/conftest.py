"""One dashboard for all tests; each begins with an empty workspace."""

import shutil
from collections.abc import Iterator

import pytest

from stack.state.workspace import VARIABLE, Workspace
from tests.unit.dashboard.serving import Client, serving, wait_until


@pytest.fixture(scope="package")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Client]]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    (workspace.root / "stack.yaml").write_text("project: tidegate-unit-dashboard\nimages: {source: debian}\n")
    (workspace.root / "functions").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(workspace.root))
        with serving() as client:
            yield workspace, client


@pytest.fixture
def workspace(dashboard: tuple[Workspace, Client]) -> Workspace:
    """A workspace without a function; the dashboard has seen that."""
    workspace, client = dashboard
    # The folder itself is watched, and has to stay.
    for path in (workspace.root / "functions").iterdir():
        shutil.rmtree(path)
    wait_until(lambda: client.send("GET", "/api/functions").json == {}, what="an empty workspace")
    return workspace


@pytest.fixture
def client(dashboard: tuple[Workspace, Client], workspace: Workspace) -> Client:
    return dashboard[1]
