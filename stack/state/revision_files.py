"""Snapshots: the files of a function as each of its revisions was built, to compare with and to go back to.

.stack/state/revisions/NAME/NUMBER/ holds them. Large files are left out: they are seldom a person's text.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from stack.config.source import FOLDER, Function, SourceFile, read_files
from stack.errors import FunctionError, HostError
from stack.plan.function_import import File
from stack.state.workspace import Workspace, advise, remove_file, sync_tree, write_file

LARGEST_FILE_BYTES, _MOST_BYTES = 1_000_000, 10_000_000


def take_snapshot(workspace: Workspace, function: Function, *, number: int) -> None:
    """Keep the files that a function was built from; what has changed since is left out."""
    folder = workspace.root / function.context
    kept = dict(_read_unchanged(folder, function.files))
    _write(workspace, function.name, number=number, files=kept)


def copy_snapshot(workspace: Workspace, name: str, *, number: int, new: int) -> None:
    """Keep the files of a revision for another one, which runs the same again."""
    _write(workspace, name, number=new, files=find_snapshot(workspace, name, number=number) or {})


def find_snapshot(workspace: Workspace, name: str, *, number: int) -> Mapping[str, File] | None:
    """Return the files of a revision that are kept; nothing if none are.

    Raises:
        HostError: they cannot be read.
    """
    folder = _folder(workspace, name, number=number)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    try:
        return {path.relative_to(folder).as_posix(): _read(path) for path in paths} or None
    except OSError as error:
        raise HostError(f"{folder} cannot be read: {error.strerror}. {advise(error, folder)}") from error


def restore_snapshot(workspace: Workspace, name: str, *, number: int, left_out: frozenset[str]) -> None:
    """Give a function's folder the files of a revision; files that the revision did not have go.

    `left_out` are files that it had and that are not kept: they stay as they are.

    Raises:
        FunctionError: none of its files are kept.
        HostError: a file cannot be written or removed.
    """
    files = find_snapshot(workspace, name, number=number)
    if files is None:
        raise FunctionError(f"The files of revision {number} of {name} are not kept.")
    folder = workspace.root / FOLDER / name
    for one in read_files(folder):
        if one.path not in files and one.path not in left_out:
            remove_file(folder / one.path)
    for path, file in files.items():
        target = folder / path
        mode = target.stat().st_mode & 0o777 if target.is_file() else 0o644
        write_file(target, file.content, mode | 0o111 if file.is_executable else mode & ~0o111)


def forget_snapshot(workspace: Workspace, name: str, *, number: int) -> None:
    """Forget the files of a revision."""
    shutil.rmtree(_folder(workspace, name, number=number), ignore_errors=True)


def _read_unchanged(folder: Path, files: tuple[SourceFile, ...]) -> Iterator[tuple[str, File]]:
    room = _MOST_BYTES
    for one in files:
        path = folder / one.path
        if path.is_symlink() or not path.is_file() or path.stat().st_size > min(room, LARGEST_FILE_BYTES):
            continue
        file = _read(path)
        if _digest(file) == one.digest:
            room -= len(file.content)
            yield one.path, file


def _read(path: Path) -> File:
    return File(path.read_bytes(), bool(path.stat().st_mode & 0o100))


def _digest(file: File) -> str:
    return f"{'x' if file.is_executable else '-'}:{hashlib.sha256(file.content).hexdigest()}"


def _write(workspace: Workspace, name: str, *, number: int, files: Mapping[str, File]) -> None:
    """Write the files so that only their owner can read them, since some may be kept from others in the folder."""
    forget_snapshot(workspace, name, number=number)
    folder = _folder(workspace, name, number=number)
    for path, file in files.items():
        write_file(folder / path, file.content, 0o700 if file.is_executable else 0o600, is_durable=False)
    if files:
        sync_tree(folder)


def _folder(workspace: Workspace, name: str, *, number: int) -> Path:
    return workspace.state / "revisions" / name / str(number)
