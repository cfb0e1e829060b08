"""The login of those who call functions."""

import hashlib
import stat
from pathlib import Path

import pytest

from stack.errors import HostError
from stack.state.access import (
    CALLER,
    forget_former_login,
    has_former_ended,
    has_gateway_login,
    load_gateway_login,
    make_gateway_login,
    show_proof,
    write_gateway_login,
)
from stack.state.workspace import Workspace


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_only_digests_are_kept(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert not has_gateway_login(workspace)
    made = make_gateway_login(workspace)
    login = load_gateway_login(workspace)
    assert (list(login.basic), list(login.bearer)) == ([digest(f"{CALLER}:{made.password}")], [digest(made.token)])
    assert list(login.own) == [digest(show_proof(workspace))]
    kept = b"".join(path.read_bytes() for path in workspace.secrets.iterdir() if path.name != ".stack-key")
    for word in (made.password, made.token, show_proof(workspace)):
        assert word.encode() not in kept


def test_programs_of_ours_may_call_before_a_login_is_made(tmp_path: Path) -> None:
    login = load_gateway_login(Workspace(tmp_path))
    assert (list(login.basic), list(login.bearer), len(login.own)) == ([], [], 1)


def test_gateway_can_read_what_others_cannot_reach(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_gateway_login(workspace, load_gateway_login(workspace))
    folder = workspace.secrets / "gateway"
    assert {path.name for path in folder.iterdir()} == {"basic", "bearer", "own"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in folder.iterdir())
    assert stat.S_IMODE(workspace.secrets.stat().st_mode) == 0o700


def test_login_before_goes_on_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, now = Workspace(tmp_path), 1_000_000.0
    monkeypatch.setattr("stack.state.access.time.time", lambda: now)
    first, second = make_gateway_login(workspace), make_gateway_login(workspace, 60)
    login = load_gateway_login(workspace)
    assert list(login.bearer) == [digest(second.token), digest(first.token)]
    assert list(login.basic) == [digest(f"{CALLER}:{one.password}") for one in (second, first)]
    assert not has_former_ended(workspace)
    now += 61
    assert has_former_ended(workspace)
    assert list(load_gateway_login(workspace).bearer) == [digest(second.token)]
    forget_former_login(workspace)
    assert not has_former_ended(workspace)
    assert list(load_gateway_login(workspace).bearer) == [digest(second.token)]


def test_without_an_overlap_the_login_before_ends(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make_gateway_login(workspace, 60)
    assert not has_former_ended(workspace)
    made = make_gateway_login(workspace)
    assert list(load_gateway_login(workspace).bearer) == [digest(made.token)]


def test_broken_file_is_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make_gateway_login(workspace)
    (workspace.secrets / ".gateway").chmod(0o600)
    (workspace.secrets / ".gateway").write_text("{")
    with pytest.raises(HostError, match="invoke credentials --gateway"):
        load_gateway_login(workspace)
