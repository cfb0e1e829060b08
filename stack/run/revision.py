"""Revisions: what a function was before, to list, to compare and to go back to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from stack import console
from stack.config.document import write_compact
from stack.config.function import FunctionConfig
from stack.config.source import FILE, find_folder, load_function, read_files
from stack.docker.stack import Stack, open_stack
from stack.errors import FunctionError
from stack.plan.diff import FileDifference, compare_files
from stack.state.deployment import Deployment, load_revisions
from stack.state.revision_files import LARGEST_FILE_BYTES, find_snapshot, restore_snapshot
from stack.state.workspace import Workspace


@dataclass(frozen=True)
class Revision:
    """One revision as it is told; `is_current` marks what runs, and without its image there is no way back to it."""

    revision: int
    is_current: bool
    time: str
    author: str
    message: str
    image: str
    has_image: bool
    origin: str = ""
    """Where the code was fetched from, if it was; `version` is the commit or the digest."""
    version: str = ""


def print_revisions(name: str, *, as_json: bool) -> None:
    """Show the revisions of a function, the newest first.

    Raises:
        FunctionError: it is not deployed.
    """
    revisions = list_revisions(open_stack(), name)
    if as_json:
        console.show_json([_as_document(one) for one in revisions])
    else:
        _show(revisions)
        console.note(f"* runs. Next: `invoke rollback-function {name} --to REVISION` goes back to another.")


def _as_document(revision: Revision) -> dict[str, Any]:
    """Return a revision as `--json` prints it; where the code is from is said of code that was fetched only."""
    hidden = () if revision.origin else ("origin", "version")
    return {key: value for key, value in asdict(revision).items() if key not in hidden}


def list_revisions(stack: Stack, name: str) -> tuple[Revision, ...]:
    """Return the revisions of a function, the newest first, which is what runs.

    Raises:
        FunctionError: it is not deployed.
    """
    deployments = load_revisions(stack.workspace, name)
    images = stack.engine.images({one.image for one in deployments})
    return tuple(_describe(one, deployments[0], images) for one in deployments)


def find_revision(workspace: Workspace, name: str, *, number: int) -> Deployment:
    """Return the revision to go back to: a number, or with 0 the one before what runs.

    Raises:
        FunctionError: there is no such revision, or it is what runs.
    """
    current, *older = load_revisions(workspace, name)
    known = ", ".join(str(one.revision) for one in older) or "none"
    if number == current.revision:
        raise FunctionError(f"Revision {number} of {name} is what runs. Older revisions: {known}.")
    found = next((one for one in older if not number or one.revision == number), None)
    if found is None:
        what = f"has no revision {number}" if number else "has no older revision"
        raise FunctionError(f"{name} {what}. Older revisions that are kept: {known}; `invoke functions {name}` lists.")
    return found


def explain_loss(revision: Deployment) -> str:
    """Say that the image of a revision is gone, and what there is instead."""
    name = revision.name
    return (
        f"The image of revision {revision.revision} of {name}, {revision.image}, is gone. "
        f"`invoke functions {name}` lists what is left; `invoke deploy-function {name}` builds from its folder."
    )


def _describe(one: Deployment, current: Deployment, images: Collection[str]) -> Revision:
    time = one.time.isoformat(timespec="seconds")
    return Revision(
        one.revision,
        one == current,
        time,
        one.author,
        one.message,
        one.image,
        one.image in images,
        one.origin,
        one.version,
    )


def _show(revisions: Sequence[Revision]) -> None:
    rows = [
        {
            "revision": f"{one.revision} *" if one.is_current else str(one.revision),
            "deployed": one.time,
            "by": one.author or "-",
            "why": one.message or "-",
            "image": one.image if one.has_image else f"{one.image} (gone)",
            "code": f"{one.origin} {one.version}".strip() or "-",
        }
        for one in revisions
    ]
    fetched = ("code",) if any(one.origin for one in revisions) else ()
    console.show_table(("revision", "deployed", "by", "why", "image", *fetched), rows)


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


def compare_revisions(workspace: Workspace, name: str, *, before: int, after: int) -> Comparison:
    """Compare two revisions; 0 is the function's folder.

    Raises:
        StackError: there is no such revision, or the folder cannot be read.
    """
    numbers = (before, after)
    sides = [_read_side(workspace, name, number=number, other=other) for number, other in (numbers, reversed(numbers))]
    left_out = frozenset().union(*(one.left_out for one in sides))
    files = [_leave_out(one.files, left_out) for one in sides if one.files is not None]
    if len(files) == len(sides):
        return Comparison(compare_files(*files), has_files=True)
    configs = [{FILE: _write(_load_config(workspace, name, number=number))} for number in numbers]
    return Comparison(compare_files(*configs), has_files=False)


def restore_revision(workspace: Workspace, name: str, number: int) -> None:
    """Give a function's folder the files of a revision; what runs stays.

    Raises:
        StackError: its files are not kept, or cannot be written.
    """
    deployment = _find_deployment(workspace, name, number=number)
    if deployment.code:
        raise FunctionError(f"The code of {name} is not in its folder; spec.build.path says where it is.")
    kept = find_snapshot(workspace, name, number=number) or {}
    restore_snapshot(workspace, name, number=number, left_out=frozenset(deployment.files) - set(kept))


def _read_side(workspace: Workspace, name: str, *, number: int, other: int) -> _Side:
    if number == FOLDER_NUMBER:
        has_code = other == FOLDER_NUMBER or not _find_deployment(workspace, name, number=other).code
        return _read_folder(find_folder(workspace.root, name)) if has_code else _Side(None)
    deployment = _find_deployment(workspace, name, number=number)
    kept = find_snapshot(workspace, name, number=number)
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


def _load_config(workspace: Workspace, name: str, *, number: int) -> FunctionConfig:
    if number == FOLDER_NUMBER:
        return load_function(find_folder(workspace.root, name)).config
    return _find_deployment(workspace, name, number=number).config


def _find_deployment(workspace: Workspace, name: str, *, number: int) -> Deployment:
    found = [one for one in load_revisions(workspace, name) if one.revision == number]
    if not found:
        raise FunctionError(f"{name} has no revision {number}; `invoke functions {name}` lists them.")
    return found[0]


def _write(config: FunctionConfig) -> bytes:
    return yaml.safe_dump(write_compact(config), sort_keys=False, allow_unicode=True, width=120).encode()
