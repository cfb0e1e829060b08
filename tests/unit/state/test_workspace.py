"""The workspace: writing only what changed, removing what is no longer rendered, what others write."""

import errno
import os
import threading
from pathlib import Path

import pytest

from stack.errors import HostError
from stack.state.lock import find_rollouts, lock, rollout_lock
from stack.state.workspace import (
    PROGRAM,
    VARIABLE,
    Workspace,
    list_files,
    make_folder,
    open_workspace,
    read_tree,
    remove_file,
    write_file,
    write_tree,
)

SHARED = {"compose.yaml": b"a", "rabbitmq/rabbitmq.conf": b"b"}


def test_workspace_is_the_programs_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert open_workspace().root == PROGRAM
    assert (PROGRAM / "tasks.py").is_file()


def test_workspace_of_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert open_workspace().root == tmp_path.resolve()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(HostError, match=r"TIDEGATE_WORKSPACE names .*missing, which is no folder"):
        open_workspace()


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert write_tree(workspace, SHARED) == tuple(SHARED)
    before = {path: (workspace.rendered / path).stat().st_mtime_ns for path in SHARED}
    assert write_tree(workspace, SHARED) == ()
    assert {path: (workspace.rendered / path).stat().st_mtime_ns for path in SHARED} == before
    assert write_tree(workspace, SHARED | {"compose.yaml": b"c"}) == ("compose.yaml",)
    assert workspace.compose.read_bytes() == b"c"


def test_what_is_no_longer_rendered_goes(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_tree(workspace, SHARED | {"functions/a/Dockerfile": b"x"})
    kept = {
        "secrets/broker.password": "2",
        "state/functions/a.json": "3",
        ".gitignore": "*",
        "function.schema.json": "{}",
    }
    for path, text in kept.items():
        (workspace.rendered / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace.rendered / path).write_text(text)
    (workspace.rendered / "link").symlink_to(tmp_path)
    assert set(write_tree(workspace, SHARED)) == {"functions/a/Dockerfile", "link"}
    assert not (workspace.rendered / "functions").exists()
    assert {path: (workspace.rendered / path).read_text() for path in kept} == kept
    assert tmp_path.is_dir()


def test_what_others_deploy_is_left_as_it_is(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    theirs = {"functions/theirs/processor.yaml": b"new", "functions/theirs/Dockerfile": b"new"}
    for path, content in theirs.items():
        write_file(workspace.rendered / path, content)
    write_file(workspace.candidate("theirs"), b"services")
    write_file(workspace.candidate("nobody"), b"services")
    files = SHARED | {"functions/theirs/processor.yaml": b"old", "functions/own/Dockerfile": b"own"}
    with lock(workspace, rollout_lock("theirs")):
        assert find_rollouts(workspace) == {"theirs"}
        write_tree(workspace, files, leaving=find_rollouts(workspace))
    assert find_rollouts(workspace) == set()
    assert {path: (workspace.rendered / path).read_bytes() for path in theirs} == theirs
    assert [path.name for path in workspace.rendered.glob("candidate.*")] == ["candidate.theirs.compose.yaml"]
    assert not set(read_tree(workspace)) - set(files) - set(theirs)
    write_tree(workspace, files)
    assert read_tree(workspace) == files


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    """Who has the old file open goes on reading the old file; nothing else is left."""
    path = tmp_path / "a"
    write_file(path, b"old")
    with path.open("rb") as reader:
        assert write_file(path, b"new")
        assert reader.read() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_mode_is_the_one_asked_for(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    assert write_file(path, b"x", mode)
    assert path.stat().st_mode & 0o777 == mode
    assert not write_file(path, b"x", mode)
    assert write_file(path, b"x", 0o640)


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file, no folder")
    with pytest.raises(HostError, match=r"b cannot be written: .* Check who owns .*a\."):
        write_file(tmp_path / "a" / "b", b"x")


def test_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(HostError, match="a cannot be written"):
        write_file(tmp_path / "a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_just_being_written_is_not_listed(tmp_path: Path) -> None:
    assert list_files(tmp_path / "missing") == []
    written = threading.Event()

    def write() -> None:
        for number in range(300):
            write_file(tmp_path / "a", str(number).encode())
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not written.is_set():
        assert [path.name for path in list_files(tmp_path)] in ([], ["a"])
    thread.join()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_no_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(HostError, match=rf"/a cannot be written: .*\. Make room there; `df -h {tmp_path}` shows"):
        write_file(tmp_path / "a", b"x")


def test_what_is_there_of_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file, no folder")
    for path in (tmp_path / "a" / "b" / "c", tmp_path / "a" / "b"):
        with pytest.raises(HostError, match=rf"Check who owns {tmp_path}/a\.$"):
            make_folder(path)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was written to the disk, in the order in which it was, and of what was renamed."""
    done: list[str] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    rename = Path.replace

    def note_rename(self: Path, target: Path) -> Path:
        done.append(f"-> {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "replace", note_rename)
    return done


def test_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, synced: list[str]) -> None:
    write_file(tmp_path / "state" / "functions" / "a.json", b"1")
    folders, content, rename, names = synced[:2], synced[2], synced[3], synced[4]
    assert sorted(folders) == sorted([tmp_path.name, "state"])
    assert content.startswith(".writing-")
    assert (rename, names) == ("-> a.json", "functions")
    synced.clear()
    write_file(tmp_path / "state" / "functions" / "a.json", b"1")
    write_file(tmp_path / "hashes.json", b"1", is_durable=False)
    assert synced == ["-> hashes.json"]


def test_only_what_builds_read_may_be_lost(tmp_path: Path, synced: list[str]) -> None:
    files = {"compose.yaml": b"1", "rabbitmq/rabbitmq.conf": b"2", "functions/a/processor.yaml": b"3"}
    recipes = {"images/processor/Dockerfile": b"4", "functions/a/Dockerfile": b"5"}
    write_tree(Workspace(tmp_path), files | recipes)
    renamed = [index for index, name in enumerate(synced) if name.startswith("-> ")]
    durable = {synced[one][3:] for one in renamed if synced[one - 1].startswith(".writing-")}
    assert durable == {"compose.yaml", "rabbitmq.conf", "processor.yaml"}


def test_removal_is_on_the_disk(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "a").write_bytes(b"")
    remove_file(tmp_path / "a")
    remove_file(tmp_path / "a")
    assert synced == [tmp_path.name]
