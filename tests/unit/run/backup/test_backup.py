"""Which files a backup holds, and what stays if it cannot be written."""

import base64
import errno
from pathlib import Path
from unittest.mock import Mock

import pytest

from stack.config.broker import Broker
from stack.config.settings import Settings
from stack.errors import BrokerError, ConflictError, HostError, StackError
from stack.run.backup import backup as module
from stack.run.backup import broker, verification
from stack.run.backup.archive import VARIABLE, choose_passphrase, load_passphrase, writing
from stack.run.backup.backup import (
    BackupRequest,
    choose_path,
    list_backup_files,
    list_named_files,
    list_secrets,
    write_workspace,
    written_whole,
)
from stack.run.backup.broker import copied_broker, fetch_definitions
from stack.state.workspace import Workspace


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_links_that_lead_out_and_caches_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "f/a/main.py", "f/.events/a/one.yaml", "f/a/__pycache__/x.pyc", "outside")
    (tmp_path / "f/a/inner").symlink_to("main.py")
    (tmp_path / "f/a/outer").symlink_to("../../outside")
    (tmp_path / "f/a/folder").symlink_to("../.events")
    found = {path.relative_to(tmp_path / "f").as_posix() for path in list_backup_files(tmp_path / "f")}
    assert found == {"a/main.py", ".events/a/one.yaml", "a/inner", "a/folder"}
    assert "outer leads out of" in " ".join(capsys.readouterr().err.split())


def test_files_that_people_write_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "stack.yaml", "sites.yaml", "functions/a/main.py", "alerts/hot.yaml", "notes.txt")
    with (tmp_path / "backup").open("wb") as file, writing(file) as archive:
        write_workspace(Workspace(tmp_path), Settings(), archive=archive)
    assert sorted(archive.digests) == [
        f"workspace/{name}" for name in ("alerts/hot.yaml", "functions/a/main.py", "sites.yaml", "stack.yaml")
    ]


def test_certificates_that_stack_yaml_names_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "hq-ca.pem", "keys/own.pem", "keys/own.key", "functions/a/ca.pem", "other.pem")
    bridge = {"to": "amqps://hq.example", "secret": "hq.account", "topics": ["plant/#"]}
    places = {"hq": "./hq-ca.pem", "there": "functions/a/ca.pem", "far": "/etc/hostname", "gone": "gone.pem"}
    document = {
        "bridge": [{**bridge, "name": name, "ca": path} for name, path in places.items()],
        "tls": {"certificate": "keys/own.pem", "key": "keys/own.key"},
    }
    found = list_named_files(tmp_path, Settings.model_validate(document))
    assert found == ["hq-ca.pem", "keys/own.pem"]
    assert "keys/own.key, which stack.yaml names, is not in the backup" in capsys.readouterr().err


def test_every_secret_is_kept_but_for_its_copies(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write(workspace.secrets, "plc.word", ".stack-key", "mounted/plc.word")
    found = dict(list_secrets(workspace))
    assert {name: base64.b64decode(text) for name, text in found.items()} == {
        "plc.word": b"plc.word",
        ".stack-key": b".stack-key",
    }


def test_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    write(tmp_path, "b.tar.gz")
    with pytest.raises(ConflictError, match=r"is there already\. Choose another name, or add --force"):
        choose_path("tidegate", BackupRequest(str(tmp_path / "b.tar.gz")))
    assert choose_path("tidegate", BackupRequest(str(tmp_path / "b.tar.gz"), force=True)) == tmp_path / "b.tar.gz"
    assert choose_path("tidegate", BackupRequest(str(tmp_path))).name.startswith("tidegate-20")


def test_full_disk_leaves_nothing_and_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_text("older")
    full = r"No space left on device\. Make room there.* There is no backup\."
    with pytest.raises(HostError, match=full), written_whole(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [one.name for one in tmp_path.iterdir()] == ["b.tar.gz"]
    assert path.read_text() == "older"
    with written_whole(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(module, "sync", lambda _: None)
    with pytest.raises(HostError, match="cannot be read or written"), written_whole(tmp_path / "no" / "b"):
        raise AssertionError


def test_passphrase_of_file_variable_and_no_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "word").write_text("of the file\n")
    assert choose_passphrase(str(tmp_path / "word")) == "of the file"
    with pytest.raises(HostError, match="Name another --passphrase-file"):
        load_passphrase(str(tmp_path / "none"))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(StackError, match=f"no one to ask for it.*{VARIABLE}"):
        choose_passphrase("")
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(StackError, match="at least 8 characters"):
        choose_passphrase("")
    assert load_passphrase("") == "short"


def test_of_several_nodes_what_was_declared_is_kept_without_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of them would not begin alone."""
    known, found = {"queues": [{"name": "own"}]}, Mock()
    found.export_definitions.return_value = known
    monkeypatch.setattr(broker, "find_broker", lambda _: found)
    monkeypatch.setattr(broker, "find_volume", lambda _: Mock())
    stack = Mock(settings=Settings(engine="swarm", broker=Broker(nodes=3)))
    stack.engine.listed.return_value = []
    with copied_broker(stack) as copy:
        assert copy is None
    assert fetch_definitions(stack) == known
    found.export_definitions.side_effect = BrokerError("It is away.")
    assert fetch_definitions(stack) == {}
    assert "It is away. What was declared there" in " ".join(capsys.readouterr().err.split())
    assert fetch_definitions(Mock(settings=Settings())) == {}


def test_a_trial_is_without_tls() -> None:
    assert not verification._adapt(Settings.model_validate({"tls": {"names": ["hq.example"]}})).tls.is_on


def test_a_trial_of_a_swarm_is_on_one_machine() -> None:
    trial = verification._adapt(Settings(engine="swarm", broker=Broker(nodes=5)))
    assert (trial.is_swarm, trial.broker.nodes, trial.is_local) == (False, 1, True)
