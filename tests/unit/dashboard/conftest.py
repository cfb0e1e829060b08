"""One dashboard for all tests; each begins with an empty workspace."""

import shutil
from collections.abc import Iterator

import pytest

from stack.run.workspace import VARIABLE, Workspace
from tests.unit.dashboard.serving import Client, serving


@pytest.fixture(scope="package")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Client]]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    (workspace.root / "stack.yaml").write_text("project: tidegate-unit-dashboard\nimages: {source: debian}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(workspace.root))
        with serving() as client:
            yield workspace, client


@pytest.fixture
def workspace(dashboard: tuple[Workspace, Client]) -> Workspace:
    workspace, _ = dashboard
    shutil.rmtree(workspace.root / "functions", ignore_errors=True)
    (workspace.root / "functions").mkdir()
    return workspace


@pytest.fixture
def client(dashboard: tuple[Workspace, Client], workspace: Workspace) -> Client:
    return dashboard[1]
