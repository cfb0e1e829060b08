"""What is noted of the broker's data, and what is made of a note that a disk has lost."""

from pathlib import Path

import pytest

from stack.docker.volume import Volume
from stack.plan.broker_data import BrokerData
from stack.rabbitmq.data import describe, load_data, note_data
from stack.state.workspace import Workspace


def test_note_is_read_again_and_is_of_its_volume_only(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert load_data(workspace) is None
    note_data(workspace, BrokerData("rabbitmq-data-trixie", "4.0.5"))
    assert load_data(workspace) == BrokerData("rabbitmq-data-trixie", "4.0.5")
    assert describe(workspace, Volume("p_rabbitmq-data-trixie", "rabbitmq-data-trixie")).version == "4.0.5"
    assert describe(workspace, Volume("p_rabbitmq-data", "rabbitmq-data")).version == ""
    assert describe(workspace, Volume("p_rabbitmq-data-noble", "rabbitmq-data-noble")).version == "3.12"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"volume": "x"}'])
def test_half_note_is_none(tmp_path: Path, content: bytes) -> None:
    workspace = Workspace(tmp_path)
    note_data(workspace, BrokerData("rabbitmq-data", "4.3.0"))
    (workspace.state / "broker.json").write_bytes(content)
    assert load_data(workspace) is None
