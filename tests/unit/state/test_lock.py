"""Locks: one at a time, all who share, and what is said to who waits."""

import errno
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from stack.errors import HostError
from stack.state.lock import (
    TREE,
    compose_lock,
    find_local_runs,
    find_rollouts,
    local_lock,
    lock,
    rollout_lock,
    try_lock,
)
from stack.state.workspace import PROGRAM, Workspace, advise


def test_one_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(tmp_path)
    steps: list[str] = []

    def work() -> None:
        with lock(workspace, "stack"):
            steps.append("second")

    second = threading.Thread(target=work)
    with lock(workspace, "stack"):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        with lock(workspace, "function-a"):
            steps.append("first")
    second.join(60)
    assert steps == ["first", "second"]


def test_some_share_a_lock_and_keep_others_away(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    share = partial(lock, workspace, "shared", is_shared=True)
    with share(), share(), try_lock(workspace, "shared") as is_free:
        assert not is_free
    with try_lock(workspace, "shared") as is_free:
        assert is_free


def test_a_glance_at_a_lock_keeps_no_one_waiting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    with ExitStack() as glance:
        glance.enter_context(try_lock(workspace, "stack"))
        # Who waits for a moment finds that the glance is over.
        monkeypatch.setattr("stack.state.lock.time.sleep", lambda _: glance.close())
        with lock(workspace, "stack"):
            assert "Another task" not in capsys.readouterr().err


def test_lock_says_what_it_waits_for(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from stack.state.lock import lock; from stack.state.workspace import Workspace\n"
        f"with lock(Workspace(Path({str(tmp_path)!r})), 'stack'): print('done')"
    )
    with lock(Workspace(tmp_path), "stack"):
        command = [sys.executable, "-c", code]
        waiting = subprocess.Popen(command, cwd=PROGRAM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "Another task is working on stack; waiting for it.\n"
    assert waiting.communicate(timeout=60)[0] == "done\n"


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "from os import getpid, kill; from pathlib import Path\n"
        "from stack.state.lock import lock; from stack.state.workspace import Workspace\n"
        f"with lock(Workspace(Path({str(tmp_path)!r})), 'stack'): kill(getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROGRAM, check=False).returncode == -9
    with lock(Workspace(tmp_path), "stack"):
        pass


def test_compose_of_a_task_that_was_killed_is_waited_for(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with lock(workspace, TREE):
        pass
    command = ["flock", "--shared", str(compose_lock(workspace.state)), "sh", "-c", "echo begun; read end"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as left:
        assert left.stdout is not None
        assert left.stdout.readline() == "begun\n"
        with try_lock(workspace, TREE) as is_free:
            assert not is_free
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(_take, workspace)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            left.communicate("end\n")
            assert waiting.result(60)
    # What is started with the lock of containers may have the other.
    with try_lock(workspace, TREE) as is_free, try_lock(workspace, "compose") as is_other_free:
        assert is_free
        assert is_other_free


def _take(workspace: Workspace) -> bool:
    with lock(workspace, TREE):
        return True


def test_who_runs_a_function_on_this_machine_is_seen(tmp_path: Path) -> None:
    """Several may run it at once; a look keeps none of them from it."""
    workspace = Workspace(tmp_path)
    with lock(workspace, local_lock("f"), is_shared=True), lock(workspace, local_lock("f"), is_shared=True):
        assert find_local_runs(workspace) == {"f"}
        assert find_rollouts(workspace) == set()
    assert find_local_runs(workspace) == set()


def test_rollouts_are_seen_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path)
    with lock(workspace, rollout_lock("f"), is_shared=True):
        pass

    def refuse(path: Path) -> None:
        raise HostError(f"{path}: Read-only file system")

    monkeypatch.setattr("stack.state.lock._open_lock", refuse)
    assert find_rollouts(workspace) == set()
    assert "findmnt" in advise(OSError(errno.EROFS, "Read-only file system"), tmp_path / "a")
