"""Which cluster of the broker's nodes it is."""

from pathlib import Path

from stack.state.broker import begin_cluster, load_cluster
from stack.state.workspace import Workspace


def test_each_cluster_is_another(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    found = [load_cluster(workspace)]
    for _ in range(2):
        begin_cluster(workspace)
        found.append(load_cluster(workspace))
    assert found[0] == ""
    assert len({*found}) == 3
