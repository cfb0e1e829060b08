"""Locks: which tasks take turns, and with what.

A lock is a file below .stack/state/locks/, held until a block ends, or its process, however that comes about.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from typing import TextIO

from stack import console
from stack.errors import HostError
from stack.state.workspace import Workspace, advise, make_folder

# The outer one first: of anyone who changes the stack, from beginning to end, which those share who change one function
# each; and of each moment at which rendered files or containers change.
STACK, TREE = "stack", "containers"
# Taken alone: who has it adds a device, or removes one.
DEVICES = "devices"

_ROLLOUT, _LOCAL = "rollout-", "run-"
# Seconds for which a lock may be had by who only looks whether it is free, which is nothing to tell of.
_GLANCE = 0.02


@contextmanager
def lock(workspace: Workspace, name: str, *, is_shared: bool = False) -> Iterator[None]:
    """Let one process at a time do what `name` stands for, or all that share it; the others wait and say so.

    With containers, Compose is waited for too, which a task that was killed may have left at work.
    """
    path = workspace.state / "locks" / name
    make_folder(path.parent)
    with _open_lock(path) as file:
        _take(file, LOCK_SH if is_shared else LOCK_EX, name=name)
        if name == TREE:
            with _open_lock(compose_lock(workspace.state)) as left:
                _take(left, LOCK_EX, name=name)
        yield


def compose_lock(state: Path) -> Path:
    """Return the file that each command of Compose locks, shared, for as long as it runs.

    It is started with the lock of containers only, so that who has that one waits for nothing but what a killed
    task has left.
    """
    return state / "locks" / "compose"


def _take(file: TextIO, kind: int, *, name: str) -> None:
    for pause in (_GLANCE, 0):
        if _try(file, kind):
            return
        time.sleep(pause)
    console.note(f"Another task is working on {name}; waiting for it.")
    flock(file, kind)


@contextmanager
def try_lock(workspace: Workspace, name: str, *, is_shared: bool = False) -> Iterator[bool]:
    """Take a turn, or share it, only if no one else has it; say whether it was taken.

    Containers are not free either while Compose is at work for a task that was killed.
    """
    path = workspace.state / "locks" / name
    make_folder(path.parent)
    with _open_lock(path) as file:
        is_taken = _try(file, LOCK_SH if is_shared else LOCK_EX)
        if name == TREE and is_taken:
            with _open_lock(compose_lock(workspace.state)) as left:
                is_taken = _try(left, LOCK_EX)
        yield is_taken


def _try(file: TextIO, kind: int) -> bool:
    """Return whether a lock could be had at once."""
    try:
        flock(file, kind | LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def stack_lock(workspace: Workspace) -> Iterator[None]:
    """Let one task at a time change the whole stack, and no function be deployed meanwhile."""
    with lock(workspace, STACK), lock(workspace, TREE):
        yield


def rollout_lock(name: str) -> str:
    """Name the lock of a function while older and newer containers of it may run side by side."""
    return f"{_ROLLOUT}{name}"


def find_rollouts(workspace: Workspace) -> set[str]:
    """Return the functions that are being rolled out, no matter by whom."""
    return _find_held(workspace, _ROLLOUT, is_shared=True)


def local_lock(name: str) -> str:
    """Name the lock of a function while it runs on this machine, outside a container."""
    return f"{_LOCAL}{name}"


def find_local_runs(workspace: Workspace) -> set[str]:
    """Return the functions that run on this machine, outside a container; each may do so several times."""
    return _find_held(workspace, _LOCAL, is_shared=False)


def _find_held(workspace: Workspace, prefix: str, *, is_shared: bool) -> set[str]:
    """Return what the names of locks end with that cannot be had."""
    names = [path.name.removeprefix(prefix) for path in (workspace.state / "locks").glob(f"{prefix}*")]
    return {name for name in names if not _is_free(workspace, prefix + name, is_shared=is_shared)}


def _is_free(workspace: Workspace, name: str, *, is_shared: bool) -> bool:
    # Only read, so that one may look where nothing can be written.
    with (workspace.state / "locks" / name).open() as file:
        return _try(file, LOCK_SH if is_shared else LOCK_EX)


def _open_lock(path: Path) -> TextIO:
    try:
        return path.open("w")
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}. {advise(error, path)}") from error
