"""What the scaler does for some functions while others do not come up."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.hanging import DATA, HANG, SECONDS
from tests.docker.workspace import Workspace, fetch, wait_until

Author = Callable[..., Path]

HANGING = f'{HANG}\ndef handler(context, event):\n    return "late"\n'
ASLEEP = """
metadata: {annotations: {tidegate.io/cool-down: "3"}}
spec:
  readinessTimeoutSeconds: 300
  minReplicas: 0
  maxReplicas: 1
"""


@pytest.fixture
def hang(workspace: Workspace, author: Author, tmp_path: Path) -> Iterator[Path]:
    """A file that has gs-hanging hang; that function and gs-other sleep, with no container."""
    tmp_path.chmod(0o777)
    workspace.allow(tmp_path)
    author("gs-hanging", HANGING, ASLEEP + DATA.format(folder=tmp_path))
    author("gs-other", 'def handler(context, event):\n    return "awake"\n', ASLEEP)
    workspace.invoke("deploy-function", "gs-hanging")
    workspace.invoke("deploy-function", "gs-other")
    for name in ("gs-hanging", "gs-other"):
        wait_until(lambda name=name: not workspace.containers(f"function-{name}"), seconds=90, what="sleep")
    path = tmp_path / "hang"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def ask_other(workspace: Workspace) -> float:
    """Wake gs-other; return how many seconds that took."""
    began = time.monotonic()
    assert fetch(workspace.url("gs-other"), timeout=90) == (200, "awake")
    return time.monotonic() - began


@pytest.mark.slow
def test_function_that_hangs_when_it_wakes_keeps_no_other_asleep_or_from_being_deployed(
    workspace: Workspace, author: Author, hang: Path
) -> None:
    with pytest.raises(OSError):
        fetch(workspace.url("gs-hanging"), timeout=3)
    wait_until(lambda: workspace.containers("function-gs-hanging"), seconds=30, what="its container")
    assert ask_other(workspace) < SECONDS
    author("gs-new", 'def handler(context, event):\n    return "new"\n', "")
    began = time.monotonic()
    workspace.invoke("deploy-function", "gs-new")
    assert time.monotonic() - began < SECONDS


@pytest.mark.slow
def test_deploy_that_hangs_keeps_no_other_asleep(workspace: Workspace, author: Author, hang: Path) -> None:
    author("gs-hanging", f"{HANGING}\nVERSION = 2\n", ASLEEP + DATA.format(folder=hang.parent))
    deploy = workspace.start("deploy-function", "gs-hanging")
    try:
        wait_until(lambda: workspace.containers("function-gs-hanging"), seconds=60, what="its container")
        assert ask_other(workspace) < SECONDS
        assert deploy.poll() is None
    finally:
        hang.unlink()
        deploy.communicate(timeout=120)
    assert deploy.returncode == 0
    assert workspace.functions()["gs-other"]["state"] in ("ready", "scaledToZero")
