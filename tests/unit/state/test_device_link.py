"""Links that make a phone a device: each holds for some minutes, and once."""

import time
from pathlib import Path

import pytest

from stack.state.device_link import LINK_MINUTES, find_linked, make_link, take_link
from stack.state.workspace import Workspace


def list_kept(workspace: Workspace) -> list[Path]:
    return list((workspace.state / "device-links").iterdir())


def test_link_is_taken_once_and_seen_before(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    token, other = make_link(workspace, "pump-7"), make_link(workspace, "pump-8")
    assert [find_linked(workspace, token) for _ in range(2)] == ["pump-7", "pump-7"]
    assert [take_link(workspace, token) for _ in range(2)] == ["pump-7", ""]
    assert (find_linked(workspace, token), find_linked(workspace, other)) == ("", "pump-8")


def test_link_ends_and_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, now = Workspace(tmp_path), time.time()
    token, taken = make_link(workspace, "pump-7"), make_link(workspace, "pump-7")
    monkeypatch.setattr(time, "time", lambda: now + LINK_MINUTES * 60 + 1)
    assert (find_linked(workspace, token), take_link(workspace, taken)) == ("", "")
    make_link(workspace, "pump-8")
    assert len(list_kept(workspace)) == 1


@pytest.mark.parametrize("token", ["", "x", "../../secrets/devices/a", "a/b", "\0", "ä"])
def test_what_is_no_token_is_none(tmp_path: Path, token: str) -> None:
    assert take_link(Workspace(tmp_path), token) == ""


def test_token_is_kept_nowhere_and_its_file_is_private(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    token = make_link(workspace, "pump-7")
    (path,) = list_kept(workspace)
    assert token not in path.name + path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
