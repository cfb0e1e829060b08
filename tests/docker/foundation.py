"""Images, which all workers of a run share: those that every stack stands on, and what the run leaves behind."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.docker.share import Share, open_share
from tests.docker.workspace import ROOT, make_workspace, run_docker

_PREPARE = "from stack.run.up import prepare_images; prepare_images()"


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Share:
    return open_share(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def foundation(tmp_path_factory: pytest.TempPathFactory, share: Share) -> None:
    """The images that every stack stands on; the first worker makes them while the others wait."""
    workspace = make_workspace(tmp_path_factory.mktemp("foundation") / "workspace", functions=False)
    with share.turn("foundation"):
        done = subprocess.run(
            [sys.executable, "-c", _PREPARE],
            cwd=ROOT,
            env=workspace.environment(),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def used_images(share: Share) -> Iterator[set[str]]:
    """Names of images to remove once no worker uses them any more: two may deploy the same."""
    with share.collecting("images", lambda names: names and run_docker("image", "rm", *names, check=False)) as images:
        yield images
