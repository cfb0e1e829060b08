"""Credentials: files that only their owner can read."""

from pathlib import Path

import pytest

from stack.errors import ConfigError, HostError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.state.access import load_session_key
from stack.state.credentials import (
    USERNAME,
    has_ended,
    load_credentials,
    load_former_credentials,
    make_credentials,
)
from stack.state.workspace import Workspace


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_guest_until_others_are_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert load_credentials(workspace) == GUEST_CREDENTIALS


def test_made_credentials_are_private(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(tmp_path)
    make_credentials(workspace)
    credentials = load_credentials(workspace)
    password = credentials.password.get_secret_value()
    assert credentials.username == USERNAME
    assert len(password) >= 24
    assert mode_of(workspace.secrets) == 0o700
    assert mode_of(workspace.secrets / "broker.password") == 0o600
    # The broker learns the password at the next `up`; until then no one else may.
    assert not (workspace.rendered / ".env").exists()
    printed = capsys.readouterr()
    assert password not in printed.out + printed.err


def test_every_password_is_new(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make_credentials(workspace)
    first = load_credentials(workspace)
    make_credentials(workspace)
    second = load_credentials(workspace)
    assert first != second


def test_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.secrets.mkdir(parents=True, mode=0o755)
    make_credentials(workspace)
    assert mode_of(workspace.secrets) == 0o700


def test_empty_file_is_no_password(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make_credentials(workspace)
    (workspace.secrets / "broker.password").write_bytes(b"")
    with pytest.raises(HostError, match=r"broker\.password is empty\. `invoke credentials` makes another"):
        load_credentials(workspace)


def test_empty_session_key_is_made_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = load_session_key(workspace)
    (workspace.secrets / ".session-key").write_bytes(b"")
    second = load_session_key(workspace)
    assert len(second) == len(first)
    assert second != first


def test_overlap_keeps_the_former_account_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    make_credentials(workspace)
    first = load_credentials(workspace)
    make_credentials(workspace, overlap="1h")
    second = load_credentials(workspace)
    assert (first.username, second.username) == (USERNAME, f"{USERNAME}-2")
    assert load_former_credentials(workspace) == first
    assert not has_ended(workspace)
    assert mode_of(workspace.secrets / ".former-credentials") == 0o600
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert load_former_credentials(workspace) is None
    assert has_ended(workspace)


def test_without_overlap_the_name_stays_and_the_former_account_ends(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make_credentials(workspace)
    make_credentials(workspace, overlap="1h")
    make_credentials(workspace)
    assert load_credentials(workspace).username == f"{USERNAME}-2"
    assert load_former_credentials(workspace) is None


def test_guest_has_no_overlap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(tmp_path)
    make_credentials(workspace, overlap="1h")
    assert load_former_credentials(workspace) is None
    assert "has no overlap" in capsys.readouterr().err


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(ConfigError, match="--overlap: should be a duration"):
        make_credentials(workspace, overlap="long")
    assert load_credentials(workspace) == GUEST_CREDENTIALS
    make_credentials(workspace)
    (workspace.secrets / ".former-credentials").write_text('{"username"')
    with pytest.raises(HostError, match="is broken"):
        load_former_credentials(workspace)
