"""What is remembered of how many containers were asked for."""

from pathlib import Path

import pytest

from stack.state.replicas import forget_replicas, keep_replicas, load_replicas, wake
from stack.state.workspace import Workspace
from tests.unit.plan.samples import make_plan


def test_number_is_kept_for_each_function(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert load_replicas(workspace) == {}
    keep_replicas(workspace, "one", replicas=3)
    keep_replicas(workspace, "two.x", replicas=0)
    assert load_replicas(workspace) == {"one": 3, "two.x": 0}
    forget_replicas(workspace, "one")
    forget_replicas(workspace, "never")
    assert load_replicas(workspace) == {"two.x": 0}


def test_deploy_wakes_what_the_scaler_put_to_sleep_and_nothing_else(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    by_hand, scaled = make_plan(), make_plan(minReplicas=0, maxReplicas=2)
    assert wake(workspace, scaled) is None
    keep_replicas(workspace, scaled.name, replicas=0)
    assert wake(workspace, by_hand) == 0
    assert wake(workspace, scaled) == 1
    assert load_replicas(workspace) == {scaled.name: 1}


def test_damaged_number_counts_for_nothing_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(tmp_path)
    keep_replicas(workspace, "one", replicas=3)
    keep_replicas(workspace, "two", replicas=2)
    (workspace.state / "replicas" / "one").write_bytes(b"")
    assert load_replicas(workspace) == {"two": 2}
    assert "invoke scale-function one N" in " ".join(capsys.readouterr().err.split())
