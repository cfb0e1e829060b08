"""The workspace: a folder with stack.yaml, functions/, and .stack/, where everything rendered goes."""

import errno
import os
import re
import tempfile
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from stack.config.settings import FILE as SETTINGS
from stack.errors import HostError
from stack.plan.render import COMPOSE, MOUNTED
from stack.plan.template import Files

PROGRAM = Path(__file__).parents[2]
# Names another workspace than the program's own folder.
VARIABLE = "TIDEGATE_WORKSPACE"

# Below .stack/, what is not rendered: never removed as an orphan.
_KEPT = frozenset({"secrets", "state", ".gitignore", "function.schema.json", "stack.schema.json"})

# Below .stack/, what only builds read: they write it again, so it need not outlive a power cut. All else is mounted by
# containers, which Docker starts again by itself.
_RECIPE = re.compile(r"images/|functions/[^/]+/Dockerfile")

# How the name begins of the Compose file of a deploy that is on its way, before that of a function.
_CANDIDATE = "candidate."

# How the name of a file begins until all of it is written.
_UNFINISHED = ".writing-"
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Workspace:
    """Where a stack's files are."""

    root: Path

    @property
    def rendered(self) -> Path:
        """Return the folder of everything that is written."""
        return self.root / ".stack"

    @property
    def compose(self) -> Path:
        """Return the rendered Compose file."""
        return self.rendered / COMPOSE

    def candidate(self, name: str) -> Path:
        """Return the Compose file of a deploy while it is not known whether its functions come up: one's name tells."""
        return self.rendered / f"{_CANDIDATE}{name}.{COMPOSE}"

    @property
    def secrets(self) -> Path:
        """Return the folder of secrets, which only its owner can read."""
        return self.rendered / "secrets"

    @property
    def mounted_secrets(self) -> Path:
        """Return the folder of the secrets that containers see."""
        return self.rendered / MOUNTED

    @property
    def state(self) -> Path:
        """Return the folder of what is remembered between two tasks."""
        return self.rendered / "state"


def open_workspace() -> Workspace:
    """Return the workspace of this call.

    Raises:
        HostError: the variable TIDEGATE_WORKSPACE names no folder.
    """
    root = Path(os.environ.get(VARIABLE) or PROGRAM).resolve()
    if not root.is_dir():
        raise HostError(f"{VARIABLE} names {root}, which is no folder; make it, with a {SETTINGS} in it.")
    return Workspace(root)


def write_tree(workspace: Workspace, files: Files, *, leaving: Collection[str] = ()) -> tuple[str, ...]:
    """Write rendered files, only where they changed, and remove those that are no longer rendered.

    Leaves the files alone of functions that others deploy; returns the paths that changed.
    """
    theirs = tuple(part for name in leaving for part in (f"functions/{name}/", f"{_CANDIDATE}{name}."))
    own = {path: content for path, content in files.items() if not path.startswith(theirs)}
    changed = tuple(
        path
        for path, content in own.items()
        if write_file(workspace.rendered / path, content, is_durable=not _RECIPE.match(path))
    )
    return changed + tuple(_remove_orphans(workspace.rendered, set(files), theirs=theirs))


def read_tree(workspace: Workspace) -> Files:
    """Read the files that `write_tree` would replace or remove."""
    folder = workspace.rendered
    files = {path: folder / path for path in sorted(_list_rendered(folder))}
    return {path: file.read_bytes() for path, file in files.items() if file.is_file()}


def _list_rendered(folder: Path) -> Iterator[str]:
    """Yield the paths of what is rendered, below its folder, but for the deploys that are on their way."""
    return (path for path in _list_files(folder) if not path.startswith(_CANDIDATE))


def _list_files(folder: Path) -> Iterator[str]:
    """Yield the paths below a folder that are not kept; by os.walk, which takes a tenth of what pathlib takes."""
    start = len(str(folder)) + 1
    for parent, below, files in os.walk(folder):
        place = parent[start:]
        below[:] = [one for one in below if place or one not in _KEPT]
        links = [one for one in below if Path(parent, one).is_symlink()]
        yield from (f"{place}/{file}".lstrip("/") for file in (*files, *links) if place or file not in _KEPT)


def write_file(path: Path, content: bytes, mode: int = 0o644, *, is_durable: bool = True) -> bool:
    """Replace a file in one step, if its content differs; return whether it did.

    A durable file is on the disk, under its name, when this returns: a power cut leaves the old or the new content.

    Raises:
        HostError: it cannot be written.
    """
    try:
        if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            return False
        _make_folders(path.parent, is_durable=is_durable)
        _replace(path, content, mode=mode, is_durable=is_durable)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}. {advise(error, path)}") from error
    return True


def _make_folders(path: Path, *, is_durable: bool) -> None:
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if is_durable:
        for one in missing:
            sync(one.parent)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Do so for all files and folders of a folder: many at once take less time than one after the other.

    Raises:
        HostError: the disk does not take them.
    """
    try:
        for parent, _, files in os.walk(folder):
            for one in (*(Path(parent, file) for file in files), Path(parent)):
                sync(one)
    except OSError as error:
        raise HostError(f"{folder} cannot be written: {error.strerror}. {advise(error, folder)}") from error


def _replace(path: Path, content: bytes, *, mode: int, is_durable: bool) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if is_durable:
                os.fsync(file.fileno())
        Path(name).replace(path)
        if is_durable:
            sync(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_file(path: Path) -> None:
    """Remove a file, if it is there; a power cut does not bring it back.

    Raises:
        HostError: it cannot be removed.
    """
    try:
        if path.exists() or path.is_symlink():
            path.unlink(missing_ok=True)
            sync(path.parent)
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}. {advise(error, path)}") from error


def list_files(folder: Path) -> list[Path]:
    """List the files of a folder, which may not be there, but for those that are just being written."""
    return sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith(_UNFINISHED))


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        HostError: it cannot be made, or belongs to somebody else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_mode & 0o777 != mode:
            path.chmod(mode)
    except OSError as error:
        raise HostError(f"{path} cannot be made: {error.strerror}. {advise(error, path)}") from error


def advise(error: OSError, path: Path) -> str:
    """Return what to look at when a file or folder cannot be made or written: what there is of its path."""
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if error.errno in _NO_SPACE:
        return f"Make room there; `df -h {there}` shows how much there is."
    if error.errno == errno.EROFS:
        return f"`findmnt --target {there}` shows how it is mounted: a disk or card that fails may only be read."
    return f"Check who owns {there}."


def _remove_orphans(folder: Path, wanted: set[str], *, theirs: tuple[str, ...]) -> Iterator[str]:
    orphans = [path for path in _list_files(folder) if path not in wanted and not path.startswith(theirs)]
    for path in sorted(orphans):
        (folder / path).unlink()
        yield path
        _remove_empty(folder / path, above=folder)


def _remove_empty(path: Path, *, above: Path) -> None:
    for parent in path.parents:
        if parent == above or any(parent.iterdir()):
            return
        parent.rmdir()


# Set in the containers of Tidegate's own programs.
PLACE_VARIABLE = "TIDEGATE_PLACE"
STACK = "stack"
# The names of the machine, separated by blanks, for those containers.
NAMES_VARIABLE = "TIDEGATE_HOSTS"

_SOCKET = Path("/var/run/docker.sock")


def is_inside() -> bool:
    """Return whether this program runs in a container of the stack, where services are reached by their names."""
    return os.environ.get(PLACE_VARIABLE) == STACK


def become_owner(folder: Path) -> None:
    """Become the user whose folder it is, who may use Docker's socket too, if it is there; only root can."""
    if os.getuid():
        return
    owner = folder.stat()
    os.setgroups([_SOCKET.stat().st_gid] if _SOCKET.exists() else [])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


_Shape = TypeVar("_Shape")


def parse_json(shape: type[_Shape], content: bytes) -> _Shape:
    """Return a JSON document as the dataclass, or other type, that it should be.

    Raises:
        ValueError: it is something else. The message does not repeat the content, which may be secret.
    """
    try:
        return cast(_Shape, _adapter(cast(Hashable, shape)).validate_json(content))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def parse_word(content: bytes) -> str:
    """Return the one line of printable text that a file holds, without spaces around it; empty of an empty file.

    Raises:
        ValueError: it is something else.
    """
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    if not text.isprintable():
        raise ValueError("it is not one line of text")
    return text


def try_read_word(path: Path) -> str:
    """Return the line of a file that may be made again at any time; nothing of one that is missing or spoiled."""
    try:
        return parse_word(path.read_bytes())
    except (OSError, ValueError):
        return ""


@cache
def _adapter(shape: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], shape))
