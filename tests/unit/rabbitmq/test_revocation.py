"""Nodes of a broker are told which certificates are revoked."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from stack.config.broker import Broker
from stack.config.network import Tls
from stack.config.settings import Settings
from stack.errors import EngineError
from stack.rabbitmq import revocation
from stack.rabbitmq.revocation import send_revocations
from stack.state.workspace import Workspace

SWARM = Settings(engine="swarm", broker=Broker(nodes=3), tls=Tls(enabled=True))


@pytest.fixture
def open_stack(tmp_path: Path) -> Callable[..., Mock]:
    """Return a way to a stack whose list has one certificate, and of which some services run."""
    folder = tmp_path / ".stack" / "secrets" / "tls" / "mounted"
    folder.mkdir(parents=True)
    (folder / "0a1b2c3d.r0").write_bytes(b"LIST")
    (folder / "server.pem").write_bytes(b"SERVER")

    def open_(*services: str, settings: Settings = SWARM) -> Mock:
        stack = Mock(workspace=Workspace(tmp_path), settings=settings)
        stack.engine.listed.return_value = [SimpleNamespace(service=one, id=one, is_running=True) for one in services]
        return stack

    return open_


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Take what containers are given, and answer that three nodes have it."""

    def unpack(container: str, folder: str, tar: Iterator[bytes]) -> None:
        with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as archive:
            given.files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]

    given = Mock(return_value="3\n", files={})
    monkeypatch.setattr(revocation, "unpack", unpack)
    monkeypatch.setattr(revocation, "execute", given)
    return given


def test_all_nodes_are_told_by_the_first(
    open_stack: Callable[..., Mock], told: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    send_revocations(open_stack("rabbitmq-mqtt-2", "rabbitmq-mqtt", "gateway"))
    assert told.files == {"0a1b2c3d.r0": b"LIST"}
    container, *_, expression = told.call_args.args
    assert container == "rabbitmq-mqtt"
    assert 'read_file("/tmp/0a1b2c3d.r0"), Path = "/var/lib/rabbitmq/revoked/0a1b2c3d.r0"' in expression
    assert "revoked" not in capsys.readouterr().err


@pytest.mark.parametrize(("services", "answer"), [(("rabbitmq-mqtt",), "2"), (("rabbitmq-mqtt-2",), "3")])
def test_nodes_that_were_not_told_are_warned_of(
    open_stack: Callable[..., Mock],
    told: Mock,
    services: tuple[str, ...],
    answer: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told.return_value = answer
    send_revocations(open_stack(*services))
    said = " ".join(capsys.readouterr().err.split())
    assert "of the broker's 3 nodes know which certificates are revoked" in said
    assert "Type `invoke up`" in said


def test_an_engine_that_does_not_answer_is_warned_of(
    open_stack: Callable[..., Mock], told: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    told.side_effect = EngineError("It is away.")
    send_revocations(open_stack("rabbitmq-mqtt"))
    assert "will be by `invoke up`: It is away." in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "settings", [Settings(tls=Tls(enabled=True)), SWARM.model_copy(update={"tls": Tls(enabled=False)})]
)
def test_one_node_alone_reads_the_list_itself(
    open_stack: Callable[..., Mock], told: Mock, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    send_revocations(open_stack("rabbitmq-mqtt", settings=settings))
    assert not told.called
    send_revocations(open_stack())
    assert (told.called, capsys.readouterr().err) == (False, "")
