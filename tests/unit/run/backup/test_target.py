"""Where a backup is restored: what differs is found, and kept."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from stack.config.broker import Broker
from stack.config.settings import Settings
from stack.errors import BrokerError, ConfigError, ConflictError
from stack.plan.backup import WORKSPACE, BrokerFacts
from stack.run.backup import restore
from stack.run.backup.restore import (
    begin_nodes,
    check_alerts,
    check_nodes,
    find_differing,
    import_known,
    load_kept,
    put_away,
)
from stack.state.broker import load_cluster
from stack.state.workspace import Workspace


def write(folder: Path, content: dict[str, str]) -> None:
    for path, text in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def test_what_differs_and_what_is_deployed_makes_way_and_is_kept(tmp_path: Path) -> None:
    workspace, fresh = Workspace(tmp_path / "here"), tmp_path / "fresh"
    write(workspace.root, {"stack.yaml": "old", "functions/a/main.py": "same", "functions/b/main.py": "own"})
    write(workspace.state, {"functions/b.json": "{}", "locks/stack": ""})
    write(workspace.secrets, {".stack-key": "old"})
    write(
        fresh, {"workspace/stack.yaml": "new", "workspace/functions/a/main.py": "same", "state/functions/a.json": "{}"}
    )
    assert list(find_differing(fresh / "workspace", workspace.root)) == ["stack.yaml"]
    put_away(workspace, fresh)
    (kept,) = (workspace.rendered / "replaced").iterdir()
    found = {path.relative_to(kept).as_posix(): path.read_text() for path in kept.rglob("*") if path.is_file()}
    assert found == {"stack.yaml": "old", ".stack/functions/b.json": "{}", ".stack/secrets/.stack-key": "old"}
    assert (workspace.root / "functions/b/main.py").read_text() == "own"
    assert (workspace.state / "locks/stack").exists()
    assert kept.stat().st_mode & 0o077 == 0


def test_data_of_one_node_begins_no_broker_of_several() -> None:
    backup = Mock()
    backup.manifest.broker = BrokerFacts(volume="v", image="i", version="4.0.5")
    check_nodes(backup, 1)
    with pytest.raises(ConflictError, match=r"Write 1 there, type this again, and then `invoke up` with 3\."):
        check_nodes(backup, 3)
    backup.manifest.broker = None
    check_nodes(backup, 3)


def test_alerts_without_readings_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    write(tmp_path, {"alerts/hot.yaml": "when: temperature > 30\n"})
    check_alerts(tmp_path, Settings.model_validate({"data": {"keep": [{"topic": "#"}]}}))
    with pytest.raises(ConfigError, match=r"alerts/hot.yaml: there are no readings to look at; in stack.yaml, data"):
        check_alerts(tmp_path, Settings())


def test_nodes_of_other_machines_do_not_begin_with_what_is_left_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    begin_nodes(Mock(workspace=workspace, settings=Settings()))
    assert load_cluster(workspace) == ""
    begin_nodes(Mock(workspace=workspace, settings=Settings(engine="swarm", broker=Broker(nodes=3))))
    assert load_cluster(workspace)


def test_a_broker_without_its_data_is_told_what_it_knew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backup, told = Mock(), Mock()
    monkeypatch.setattr(restore, "find_broker", Mock())
    monkeypatch.setattr(restore, "import_definitions", told)
    backup.manifest.has_definitions = False
    import_known(Mock(), backup)
    assert not told.called
    backup.manifest.has_definitions = True
    backup.sealed.definitions = {"queues": [{"name": "own", "durable": True}, {"name": "passing", "durable": False}]}
    import_known(Mock(), backup)
    assert told.call_args.args[1]["queues"] == [{"name": "own", "durable": True}]
    assert "The messages of the broker are not in the backup" in " ".join(capsys.readouterr().err.split())
    told.side_effect = BrokerError("It is away.")
    import_known(Mock(), backup)
    assert "is not there again: It is away." in " ".join(capsys.readouterr().err.split())


def test_settings_that_are_kept_go_by_the_types_of_devices_in_the_backup(tmp_path: Path) -> None:
    root, fresh = tmp_path / "root", tmp_path / "fresh"
    for folder, name in ((root, "here"), (fresh / WORKSPACE, "there")):
        (folder / "device-types").mkdir(parents=True)
        (folder / "device-types" / f"{name}.yaml").write_text(f'metrics: {{{name}: {{topic: "x/{{id}}"}}}}\n')
    (root / "stack.yaml").write_text("project: other\ndata: {keep: [{devices: here}, {devices: there}]}\n")
    settings = load_kept(root, fresh)
    assert (settings.project, [one.metric for one in settings.data.keep]) == ("other", ["here", "there"])
    assert load_kept(tmp_path / "none", tmp_path / "root").project == "tidegate"
