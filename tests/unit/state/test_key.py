"""The stack key: made once, private, and each function's own secrets derived from it."""

from pathlib import Path

import pytest

from stack.errors import HostError
from stack.state.vault import function_signature_key, load_stack_key
from stack.state.workspace import Workspace


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    key = load_stack_key(workspace)
    assert len(key) == 32
    assert load_stack_key(workspace) == key
    assert (workspace.secrets / ".stack-key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in workspace.secrets.iterdir()] == [".stack-key"]
    assert load_stack_key(Workspace(tmp_path / "other")) != key


def test_a_half_file_is_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    load_stack_key(workspace)
    (workspace.secrets / ".stack-key").write_bytes(b"half")
    with pytest.raises(HostError, match="holds 4 bytes instead of the 32"):
        load_stack_key(workspace)


def test_each_function_has_its_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    one = function_signature_key(workspace, "one")
    assert one == function_signature_key(workspace, "one")
    assert len(one) == 32
    assert one != function_signature_key(workspace, "two")
