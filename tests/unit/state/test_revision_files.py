"""Snapshots of a function's files."""

from pathlib import Path

import pytest

from stack.errors import HostError
from stack.state.revision_files import restore_snapshot
from stack.state.workspace import Workspace


def test_file_that_cannot_be_removed_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("functions/a/extra.py", ".stack/state/revisions/a/1/main.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(HostError, match=r"extra\.py cannot be removed: Permission denied\. Check who owns .*/a\.$"):
        restore_snapshot(Workspace(tmp_path), "a", number=1, left_out=frozenset())
