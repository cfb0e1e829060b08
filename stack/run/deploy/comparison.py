"""Comparisons: what differs between two revisions of a function, or between one and its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from stack.config.compact import write_compact
from stack.config.function import FunctionConfig
from stack.config.source import FILE, find_folder, load_function, read_files
from stack.errors import FunctionError
from stack.plan.difference import FileDifference, compare_files
from stack.run.deploy.deployment import Deployment, load_revisions
from stack.run.deploy.snapshot import LARGEST_FILE_BYTES, find_snapshot, restore_snapshot
from stack.run.workspace import Workspace

# What stands for the number of a revision where the folder is meant, as it is now.
FOLDER_NUMBER = 0


@dataclass(frozen=True)
class Comparison:
    """What differs; without the files of one side only the configurations are compared."""

    differences: tuple[FileDifference, ...]
    has_files: bool


@dataclass(frozen=True)
class _Side:
    """The files of one side, if there are any to compare, and the paths of those that are not."""

    files: Mapping[str, bytes] | None
    left_out: frozenset[str] = frozenset()


def compare_revisions(workspace: Workspace, name: str, before: int, after: int) -> Comparison:
    """Compare two revisions; 0 is the function's folder.

    Raises:
        StackError: there is no such revision, or the folder cannot be read.
    """
    numbers = (before, after)
    sides = [_read_side(workspace, name, number, other) for number, other in (numbers, reversed(numbers))]
    left_out = frozenset().union(*(one.left_out for one in sides))
    files = [_leave_out(one.files, left_out) for one in sides if one.files is not None]
    if len(files) == len(sides):
        return Comparison(compare_files(*files), has_files=True)
    configs = [{FILE: _write(_load_config(workspace, name, number))} for number in numbers]
    return Comparison(compare_files(*configs), has_files=False)


def restore_revision(workspace: Workspace, name: str, number: int) -> None:
    """Give a function's folder the files of a revision; what runs stays.

    Raises:
        StackError: its files are not kept, or cannot be written.
    """
    deployment = _find_deployment(workspace, name, number)
    if deployment.code:
        raise FunctionError(f"The code of {name} is not in its folder; spec.build.path says where it is.")
    kept = find_snapshot(workspace, name, number) or {}
    restore_snapshot(workspace, name, number, frozenset(deployment.files) - set(kept))


def _read_side(workspace: Workspace, name: str, number: int, other: int) -> _Side:
    if number == FOLDER_NUMBER:
        has_code = other == FOLDER_NUMBER or not _find_deployment(workspace, name, other).code
        return _read_folder(find_folder(workspace.root, name)) if has_code else _Side(None)
    deployment = _find_deployment(workspace, name, number)
    kept = find_snapshot(workspace, name, number)
    if kept is None:
        return _Side(None)
    # Where the code is elsewhere, the configuration is not among its files.
    own = {FILE: _write(deployment.config)} if deployment.code else {}
    files = {path: file.content for path, file in kept.items()}
    return _Side({**own, **files}, frozenset(deployment.files) - files.keys())


def _read_folder(folder: Path) -> _Side:
    found = [one.path for one in read_files(folder) if not (folder / one.path).is_symlink()]
    large = {path for path in found if (folder / path).stat().st_size > LARGEST_FILE_BYTES}
    return _Side({path: (folder / path).read_bytes() for path in found if path not in large}, frozenset(large))


def _leave_out(files: Mapping[str, bytes], paths: frozenset[str]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path not in paths}


def _load_config(workspace: Workspace, name: str, number: int) -> FunctionConfig:
    if number == FOLDER_NUMBER:
        return load_function(find_folder(workspace.root, name)).config
    return _find_deployment(workspace, name, number).config


def _find_deployment(workspace: Workspace, name: str, number: int) -> Deployment:
    found = [one for one in load_revisions(workspace, name) if one.revision == number]
    if not found:
        raise FunctionError(f"{name} has no revision {number}; `invoke functions {name}` lists them.")
    return found[0]


def _write(config: FunctionConfig) -> bytes:
    return yaml.safe_dump(write_compact(config), sort_keys=False, allow_unicode=True, width=120).encode()
