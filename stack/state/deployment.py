"""Deployments: which functions run, as what; and their revisions, the older deployments of the same function.

.stack/state/functions/NAME.json is what runs, .stack/state/revisions/NAME/NUMBER.json each older revision that is kept.
revision_files.py keeps the files of all of them. What runs is written twice, so that .stack/state/copies/NAME.json
counts where a disk has lost the first; a file that cannot be read keeps no other function from its task.
"""

import getpass
import os
import shutil
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stack import console
from stack.config.function import FunctionConfig
from stack.config.requirements import Requirements
from stack.config.settings import Settings
from stack.config.source import FOLDER, Function, SourceFile, function_folders
from stack.errors import ConflictError, FunctionError
from stack.plan.function import FunctionPlan, complete_function
from stack.state.revision_files import copy_snapshot, forget_snapshot, take_snapshot
from stack.state.workspace import Workspace, remove_file, write_file

# Names another author than the user who runs this program, such as who has logged in to the dashboard.
AUTHOR = "TIDEGATE_AUTHOR"


class Deployment(BaseModel):
    """A function as it was deployed, whatever became of its folder since."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    image: str
    handler: str
    revision: int
    time: datetime
    config: FunctionConfig
    files: tuple[str, ...] = ()
    """The paths of what went into the image, below the folder of the code."""
    requirements: tuple[Requirements, ...] = ()
    """What each requirements.txt among them refers to, where it does."""
    shared: tuple[str, ...] = ()
    """The paths of what went into it of functions/.shared."""
    code: str = ""
    """The folder of the code, if it is not the function's own."""
    origin: str = ""
    """Where the code was fetched from, if it was."""
    version: str = ""
    """The commit or the digest that was fetched."""
    author: str = ""
    """Who deployed it: user@host."""
    message: str = ""
    """Why."""
    restores: int = 0
    """The revision that it is again, where a rollback deployed it: its folder holds another version then."""
    content: str = ""
    """A digest of its configuration and its files, by which it is told from others, at other sites too."""

    def plan(self, settings: Settings) -> FunctionPlan:
        """Return the plan that was deployed."""
        files = tuple(SourceFile(path, "") for path in self.files)
        folder, found = f"{FOLDER}/{self.name}", self.requirements
        function = Function(
            self.name,
            folder,
            self.config,
            files,
            code=self.code,
            requirements=found,
            shared=tuple(SourceFile(path, "") for path in self.shared),
            origin=self.origin,
            version=self.version,
            content=self.content,
        )
        return complete_function(function, self.handler, settings=settings)


def load_deployments(workspace: Workspace) -> dict[str, Deployment]:
    """Read which functions are deployed, by name; one that cannot be read is left out, and warned of."""
    found = (load_deployment(workspace, name) for name in list_deployed(workspace))
    return {one.name: one for one in found if one}


def list_unreadable(workspace: Workspace) -> tuple[str, ...]:
    """Return the names of the functions that are deployed and of which no file says as what: they run on as they are.

    What belongs to them, such as containers and mounted secrets, is to be left alone.
    """
    return tuple(name for name in list_deployed(workspace) if load_deployment(workspace, name) is None)


def list_deployed(workspace: Workspace) -> tuple[str, ...]:
    """Return the names of the functions that are deployed."""
    return tuple(path.stem for path in _find(workspace.state / "functions"))


def is_deployed(workspace: Workspace, name: str) -> bool:
    """Return whether something runs of a function."""
    return bool(name) and _current(workspace, name).is_file()


def find_deployment(workspace: Workspace, name: str) -> Deployment:
    """Return what runs of a function.

    Raises:
        FunctionError: it is not deployed, or cannot be read.
    """
    if is_deployed(workspace, name):
        return load_deployment(workspace, name) or _read(_current(workspace, name))
    known = ", ".join(path.stem for path in _find(workspace.state / "functions")) or "none"
    raise FunctionError(f"{name or 'A function without a name'} is not deployed. Deployed functions: {known}.")


def load_revisions(workspace: Workspace, name: str) -> tuple[Deployment, ...]:
    """Return the revisions of a function that are kept, the newest first, which is what runs.

    Raises:
        FunctionError: it is not deployed.
    """
    current = find_deployment(workspace, name)
    kept = map(_try_read, _find(_history(workspace, name)))
    older = (one for one in kept if one and one.revision < current.revision)
    return (current, *sorted(older, key=lambda one: -one.revision))


def record_deployment(
    workspace: Workspace, plan: FunctionPlan, *, image: str, message: str = "", restores: int = 0
) -> Deployment:
    """Remember that a function runs as this image from now on; what ran before stays as a revision.

    `restores` is the revision that a rollback has gone back to.
    """
    before = load_deployment(workspace, plan.name)
    revision = _find_last(workspace, plan.name, before=before) + 1
    deployment = _describe(plan, image, revision=revision, message=message, restores=restores)
    _keep_files(workspace, plan.function, deployment=deployment, before=before)
    if before:
        _write(_history(workspace, plan.name) / f"{before.revision}.json", before)
    _write(_copy(workspace, plan.name), deployment)
    _write(_current(workspace, plan.name), deployment)
    return deployment


def note_candidate(workspace: Workspace, plan: FunctionPlan, *, image: str) -> None:
    """Remember what is about to be started, until what it or the one before left at the broker is seen to."""
    _write(_candidate(workspace, plan.name), _describe(plan, image, revision=0, message=""))


def load_candidate(workspace: Workspace, name: str) -> Deployment | None:
    """Return what was started of a function by a deploy that has not come to its end; nothing if there is none."""
    return _try_read(_candidate(workspace, name))


def load_live(workspace: Workspace, besides: Collection[str]) -> tuple[Deployment, ...]:
    """Return what is deployed, and what is about to be started, of all functions but these."""
    # In this order, so that what comes to count between the two is not missed.
    folders = (workspace.state / "candidates", workspace.state / "functions")
    found = [_try_read(path) for folder in folders for path in _find(folder) if path.stem not in besides]
    return tuple(one for one in found if one)


def explain_rollback(deployment: Deployment) -> str:
    """Return what to know of a function that was rolled back; nothing of another."""
    if not deployment.restores:
        return ""
    name = deployment.name
    return (
        f"was rolled back to revision {deployment.restores}; its folder may hold a newer version, "
        f"which `invoke deploy-function {name}` deploys"
    )


def explain_folder(deployment: Deployment, *, has_folder: bool) -> str:
    """Return what to know of a function whose folder does not hold what runs; nothing where it does."""
    if not has_folder:
        return f"runs on without its folder {FOLDER}/{deployment.name}, which is gone"
    return explain_rollback(deployment)


def forget_candidate(workspace: Workspace, name: str) -> None:
    """Remember that the deploy has come to its end."""
    remove_file(_candidate(workspace, name))


def forget_deployment(workspace: Workspace, name: str) -> None:
    """Remember that a function is not deployed, and forget its revisions."""
    remove_file(_current(workspace, name))
    remove_file(_copy(workspace, name))
    forget_candidate(workspace, name)
    shutil.rmtree(_history(workspace, name), ignore_errors=True)


def forget_revisions(workspace: Workspace, name: str, *, oldest: int) -> None:
    """Forget the revisions before a number."""
    for path in _find(_history(workspace, name)):
        if path.stem.isdecimal() and int(path.stem) < oldest:
            remove_file(path)
            forget_snapshot(workspace, name, number=int(path.stem))


def load_author() -> str:
    """Return user@host; a user without a name is known by a number."""
    if given := os.environ.get(AUTHOR):
        return given
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _describe(plan: FunctionPlan, image: str, *, revision: int, message: str, restores: int = 0) -> Deployment:
    return Deployment(
        name=plan.name,
        image=image,
        handler=plan.handler,
        revision=revision,
        time=datetime.now(UTC),
        config=plan.function.config,
        files=tuple(file.path for file in plan.function.files),
        requirements=plan.function.requirements,
        shared=tuple(file.path for file in plan.function.shared),
        code=plan.function.code,
        origin=plan.function.origin,
        version=plan.function.version,
        author=load_author(),
        message=message,
        restores=restores,
        content=plan.content,
    )


def _find_last(workspace: Workspace, name: str, *, before: Deployment | None) -> int:
    """Return the number of the last revision; where what runs cannot be read, that of the files there are."""
    if before:
        return before.revision
    return max((int(path.stem) for path in _find(_history(workspace, name)) if path.stem.isdecimal()), default=0)


def _keep_files(workspace: Workspace, function: Function, *, deployment: Deployment, before: Deployment | None) -> None:
    """Keep what the image was built from; of one that runs again, what was kept then."""
    if any(file.digest for file in function.files):
        take_snapshot(workspace, function, number=deployment.revision)
        return
    older = load_revisions(workspace, function.name) if before else ()
    same = [one.revision for one in older if one.image == deployment.image]
    copy_snapshot(workspace, function.name, number=same[0] if same else 0, new=deployment.revision)


def _current(workspace: Workspace, name: str) -> Path:
    return workspace.state / "functions" / f"{name}.json"


def _copy(workspace: Workspace, name: str) -> Path:
    return workspace.state / "copies" / f"{name}.json"


def _candidate(workspace: Workspace, name: str) -> Path:
    return workspace.state / "candidates" / f"{name}.json"


def _history(workspace: Workspace, name: str) -> Path:
    return workspace.state / "revisions" / name


def _find(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.json"))


def _read(path: Path) -> Deployment:
    try:
        return Deployment.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        name = path.parent.name if path.parent.parent.name == "revisions" else path.stem
        raise FunctionError(f"{path} cannot be read. Write it again: invoke deploy-function {name}.") from error


def _try_read(path: Path) -> Deployment | None:
    """Read what may be gone meanwhile, or half written where a disk failed: then nothing."""
    try:
        return _read(path)
    except FunctionError as error:
        if path.exists():
            _warn_once(str(error))
        return None


def load_deployment(workspace: Workspace, name: str) -> Deployment | None:
    """Read what runs of a function, from the copy if the file itself cannot be read; nothing if neither can."""
    path = _current(workspace, name)
    try:
        return _read(path)
    except FunctionError as error:
        if not path.exists():
            return None
        with suppress(FunctionError):
            copied = _read(_copy(workspace, name))
            _warn_once(f"{path} cannot be read; its copy counts. Write it again: invoke deploy-function {name}.")
            return copied
        _warn_once(f"{error} Until then {name} runs on as it is, and no other task knows of it.")
        return None


@cache
def _warn_once(message: str) -> None:
    console.warn(message)


def _write(path: Path, deployment: Deployment) -> None:
    document = deployment.model_dump_json(by_alias=True, exclude_unset=True, indent=2)
    write_file(path, document.encode() + b"\n")


def check_namesakes(workspace: Workspace, *names: str) -> None:
    """Make sure that no two functions have these names but for capital letters.

    Raises:
        ConflictError: another function has one of them, or two of them are the same.
    """
    known = sorted({*function_folders(workspace.root), *list_deployed(workspace), *names})
    for name in names:
        for other in known:
            if other != name and other.lower() == name.lower():
                raise ConflictError(
                    f"{name} and {other} differ in capital letters only, and would share an image and an address: "
                    f"choose another name for {FOLDER}/{name} or {FOLDER}/{other}."
                )
