"""`invoke certificates`, and the renewal that the dashboard sees to."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from stack.docker.stack import Stack, open_stack
from stack.docker.swarm.engine import SwarmEngine
from stack.errors import ConfigError, EngineError
from stack.plan.inputs import Inputs
from stack.plan.tls import MOUNTED
from stack.run import certificates
from stack.run.certificates import make_certificates, renew_certificates
from stack.run.stack import prepare_certificates, render_stack
from stack.state.tls import Served, authority_path, has_bad_authority, load_served
from stack.state.workspace import Workspace


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    (tmp_path / "stack.yaml").write_text("# Ours.\nimages: {source: debian}\n")
    monkeypatch.setattr(certificates, "become_owner", lambda _: None)
    return Workspace(tmp_path)


def test_a_hook_of_root_leaves_no_file_of_root(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is written."""

    def become(folder: Path) -> None:
        assert (folder, list(folder.iterdir())) == (workspace.root, [workspace.root / "stack.yaml"])
        raise PermissionError

    monkeypatch.setattr(certificates, "become_owner", become)
    with pytest.raises(PermissionError):
        make_certificates([], as_json=True)


def test_first_time_turns_tls_on(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    make_certificates([], as_json=True)
    made = json.loads(capsys.readouterr().out)
    assert {"localhost", "127.0.0.1"} <= set(made["names"])
    assert Path(made["authority"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert len(made["fingerprint"].split(":")) == 32
    assert (workspace.root / "stack.yaml").read_text() == "# Ours.\nimages: {source: debian}\ntls:\n  enabled: true\n"


def test_gateway_without_tls_is_left_alone_until_up(workspace: Workspace) -> None:
    """It has no file for TLS, and would go on with its older configuration, or not start again."""
    render_stack()
    path = workspace.rendered / "gateway" / "haproxy.cfg"
    plain = path.read_bytes()
    make_certificates([], as_json=True)
    assert path.read_bytes() == plain
    render_stack()
    secure = path.read_bytes()
    assert secure != plain
    make_certificates(["plant.local"], as_json=True)
    assert b"plant[.]local" in path.read_bytes()


@pytest.mark.parametrize(
    ("nodes", "services"),
    [(1, ["gateway"]), (3, ["rabbitmq-mqtt", "rabbitmq-mqtt-2", "rabbitmq-mqtt-3", "gateway"])],
)
def test_what_shows_another_certificate_in_a_swarm_starts_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, nodes: int, services: list[str]
) -> None:
    """They have it as a secret, which never changes."""
    driver, started = Mock(), Mock(side_effect=lambda _, changing, __: changing)
    monkeypatch.setattr(certificates, "open_driver", lambda _: driver)
    monkeypatch.setattr(certificates, "start_nodes", started)
    monkeypatch.setattr(SwarmEngine, "listed", lambda _: (SimpleNamespace(service="gateway"),))
    monkeypatch.setattr(certificates, "write_stack", Mock())
    text = (workspace.root / "stack.yaml").read_text()
    (workspace.root / "stack.yaml").write_text(f"{text}engine: swarm\nbroker: {{nodes: {nodes}}}\n")
    make_certificates([], as_json=True)
    assert not driver.up.called
    workspace.rendered.mkdir(exist_ok=True)
    (workspace.rendered / "swarm.yaml").write_text(f"- {MOUNTED}\n")
    make_certificates([], as_json=True)
    assert not driver.up.called
    make_certificates(["plant.local"], as_json=True)
    driver.up.assert_called_once_with(services)
    driver.up.side_effect = EngineError("It is away.")
    make_certificates(["plant-2.local"], as_json=True)


def test_names_are_added_to_those_of_the_stack(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    make_certificates(["Plant.local"], as_json=True)
    first = json.loads(capsys.readouterr().out)
    make_certificates(["192.0.2.7", "plant.local"], as_json=True)
    second = json.loads(capsys.readouterr().out)
    assert first["fingerprint"] == second["fingerprint"]
    assert {"plant.local", "192.0.2.7"} <= set(second["names"])
    assert open_stack(workspace).settings.tls.names == ("plant.local", "192.0.2.7")
    with pytest.raises(ConfigError, match=r"--name should be a name such as tidegate\.local, or an address, not 'a b'"):
        make_certificates(["a b"], as_json=True)


def test_it_turns_on_what_was_turned_off(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace.root / "stack.yaml").write_text("tls: {enabled: false, names: [a.local]}\n")
    assert not open_stack(workspace).settings.tls.is_on
    make_certificates(["b.local"], as_json=True)
    tls = open_stack(workspace).settings.tls
    assert (tls.is_on, tls.names) == (True, ("a.local", "b.local"))
    assert "tls.names has b.local and tls.enabled is true now" in capsys.readouterr().err


def test_an_authority_that_ends_is_told_of(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_certificates(open_stack(workspace))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stack.state.certificates._AUTHORITY_DAYS", 300)
        make_certificates([], as_json=True)
    assert "authority ends on" in " ".join(capsys.readouterr().err.split())


def test_authority_of_a_clock_that_was_not_set_is_told_of_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_certificates([], as_json=True)
    first = authority_path(workspace).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("stack.state.certificates._CLOCK_BEGINS", datetime(2100, 1, 1, tzinfo=UTC))
        assert has_bad_authority(workspace)
    (workspace.secrets / "tls" / "authority.pem").unlink()
    monkeypatch.setattr("stack.run.stack.has_bad_authority", lambda _: True)
    make_certificates([], as_json=True)
    assert "was made by a clock that was not set; another is there" in " ".join(capsys.readouterr().err.split())
    assert authority_path(workspace).read_bytes() != first


def test_authority_that_has_ended_is_told_so(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stack.state.certificates._AUTHORITY_DAYS", 0)
        make_certificates([], as_json=True)
    assert "authority has ended on" in " ".join(capsys.readouterr().err.split())


def test_what_ends_soon_is_renewed_once_and_the_gateway_told(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the names that it has: a container does not know the machine's addresses."""
    told: list[str] = []

    def tell(_: Stack, inputs: Inputs) -> None:
        told.append(inputs.certificate.version)

    monkeypatch.setattr(certificates, "write_stack", tell)
    make_certificates(["plant.local"], as_json=True)
    first = load_served(workspace)
    renew_certificates(open_stack(workspace))
    assert told == []
    # Made a year ago, as far as what is noted says.
    path = workspace.secrets / "tls" / "served.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ends": 0}))
    (workspace.secrets / "tls" / "server.pem").unlink()
    renew_certificates(open_stack(workspace))
    second = load_served(workspace)
    assert first
    assert second
    assert told == [second.version] != [first.version]
    assert sorted(second.names) == sorted(first.names)
    renew_certificates(open_stack(workspace))
    assert len(told) == 1
    assert authority_path(workspace).exists()


def test_next_is_up_where_the_ports_are_not_there_yet(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    make_certificates([], as_json=False)
    assert "Next: `invoke up`" in capsys.readouterr().err
    workspace.rendered.mkdir(exist_ok=True)
    (workspace.rendered / "compose.yaml").write_text(f"- {MOUNTED}\n")
    make_certificates([], as_json=False)
    said = capsys.readouterr().err
    assert "The servers show it within two minutes." in said
    assert "invoke up" not in said


@pytest.mark.parametrize(("days", "level"), [(13, "warn"), (-2, "error"), (15, "")])
def test_end_of_ones_own_certificate_is_told(days: int, level: str) -> None:
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    trouble = Served(("a.local",), end.timestamp(), "").find_trouble("own.pem")
    assert (trouble.level if trouble else "") == level
    if trouble:
        verb = "ends" if days > 0 else "has ended"
        assert f"{trouble.subject} {trouble.what}" == f"own.pem {verb} on {end.date()}."
