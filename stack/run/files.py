"""The files of a function's folder, for anyone who edits them elsewhere than on the disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stack.config.source import FILE, FOLDER, IGNORED_FOLDERS, IGNORED_SUFFIX, read_files
from stack.config.yaml_edit import remove_value, set_value
from stack.errors import ConflictError, FunctionError, HostError
from stack.state.workspace import Workspace, advise, write_file

# What an editor opens, and what may be put into a folder from afar; larger files are copied on the machine.
MOST_TEXT_BYTES = 1_000_000
MOST_BYTES = 50_000_000
_LONGEST_PATH, _LONGEST_NAME = 1000, 255
# What tells a program's text from anything else, as git does.
_LOOK_BYTES = 8000
_DISABLE = ("spec", "disable")


@dataclass(frozen=True)
class FunctionFile:
    """One file: its path below the function's folder, its size in bytes, and whether an editor can open it."""

    path: str
    size: int
    digest: str
    is_text: bool


@dataclass(frozen=True)
class FileText:
    """What a text file holds; the digest is another once it holds something else."""

    text: str
    digest: str


def list_function_files(workspace: Workspace, name: str) -> tuple[FunctionFile, ...]:
    """List the files of a function, those of its top folder first; symbolic links and what is not built is left out.

    Raises:
        FunctionError: it has no folder.
    """
    folder = _find_folder(workspace, name)
    files = (_describe(folder, one.path) for one in read_files(folder) if not (folder / one.path).is_symlink())
    return tuple(sorted(files, key=lambda one: (one.path.count("/"), one.path)))


def read_function_file(workspace: Workspace, name: str, path: str) -> FileText:
    """Read a text file of a function.

    Raises:
        FunctionError: there is none of that name, or it is no text.
    """
    content = find_function_file(workspace, name, path).read_bytes()
    if not _is_text(content):
        raise FunctionError(f"{FOLDER}/{name}/{path} is no text, or larger than a megabyte; download it instead.")
    return FileText(content.decode(), digest_content(content))


def find_function_file(workspace: Workspace, name: str, path: str) -> Path:
    """Return where a file of a function is.

    Raises:
        FunctionError: there is none of that name.
    """
    found = _locate(workspace, name, path=path)
    if not found.is_file():
        raise FunctionError(f"There is no file {FOLDER}/{name}/{path}.")
    return found


def write_function_file(workspace: Workspace, name: str, path: str, content: bytes, *, known: str | None = None) -> str:
    """Write a file of a function; return its digest.

    `known` is the digest of what the writer has read, empty for a file that should be new; without it what is there
    is written over.

    Raises:
        ConflictError: the file holds something else by now.
        FunctionError: the path leads elsewhere, or the file is too large.
        HostError: it cannot be written.
    """
    target = _locate(workspace, name, path=path)
    if len(content) > MOST_BYTES:
        raise FunctionError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB; copy it to {FOLDER}/{name} instead.")
    if known is not None:
        require_known(target, path, known=known)
    mode = target.stat().st_mode & 0o777 if target.is_file() else 0o644
    write_file(target, content, mode)
    return digest_content(content)


def rename_function_file(workspace: Workspace, name: str, path: str, new: str) -> None:
    """Give a file of a function another path.

    Raises:
        ConflictError: there is a file of that path already.
        FunctionError: there is no such file, or a path leads elsewhere.
        HostError: it cannot be moved.
    """
    source, target = find_function_file(workspace, name, path), _locate(workspace, name, path=new)
    if target.exists():
        raise ConflictError(f"{FOLDER}/{name}/{new} is there already; choose another name.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    except OSError as error:
        raise HostError(f"{source} cannot be moved: {error.strerror}. {advise(error, source)}") from error
    _remove_empty(source.parent, _find_folder(workspace, name))


def remove_function_file(workspace: Workspace, name: str, path: str) -> None:
    """Remove a file of a function, and the folders that are empty then.

    Raises:
        FunctionError: there is no such file.
        HostError: it cannot be removed.
    """
    found = find_function_file(workspace, name, path)
    try:
        found.unlink()
    except OSError as error:
        raise HostError(f"{found} cannot be removed: {error.strerror}. {advise(error, found)}") from error
    _remove_empty(found.parent, _find_folder(workspace, name))


def set_disabled(workspace: Workspace, name: str, *, is_disabled: bool) -> None:
    """Write into a function's configuration whether it is to have no container.

    Raises:
        ConfigError: the configuration is no YAML.
        HostError: it cannot be written.
    """
    path = _locate(workspace, name, path=FILE)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    changed = set_value(text, _DISABLE, True) if is_disabled else remove_value(text, _DISABLE)
    write_function_file(workspace, name, FILE, changed.encode())


def digest_content(content: bytes) -> str:
    """Return what tells one content from another."""
    return hashlib.sha256(content).hexdigest()


def _find_folder(workspace: Workspace, name: str) -> Path:
    folder = workspace.root / FOLDER / name
    is_plain = name and not name.startswith(".") and "/" not in name and len(name.encode()) <= _LONGEST_NAME
    if not is_plain or not folder.is_dir():
        raise FunctionError(f"There is no folder {FOLDER}/{name}.")
    return folder


def _locate(workspace: Workspace, name: str, *, path: str) -> Path:
    """Return where a path leads, which is within the function's folder and to nothing that is kept out of images."""
    folder = _find_folder(workspace, name)
    target = folder / _check_path(path)
    if target.is_symlink() or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise FunctionError(f"{FOLDER}/{name}/{path} is, or lies behind, a symbolic link; change it on the machine.")
    if target.is_dir() or any(parent.is_file() for parent in target.parents if parent.is_relative_to(folder)):
        raise FunctionError(f"{FOLDER}/{name}/{path} cannot be a file: a file or folder of that name is in its way.")
    return target


def _check_path(path: str) -> PurePosixPath:
    parts = path.split("/")
    is_plain = all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_NAME for part in parts)
    if not is_plain or len(path.encode()) > _LONGEST_PATH or not path.isprintable() or "\\" in path:
        raise FunctionError(f"{path!r:.80} is no path of a file below the function's folder, such as lib/units.py.")
    suffixes = [f"what ends in {IGNORED_SUFFIX}"] if path.endswith(IGNORED_SUFFIX) else []
    if ignored := sorted(IGNORED_FOLDERS.intersection(parts)) or suffixes:
        raise FunctionError(f"{path!r:.80} would not go into the image: {ignored[0]} never does. Choose another name.")
    return PurePosixPath(path)


def require_known(target: Path, path: str, *, known: str) -> None:
    """Refuse to write a file that holds something else than its writer has read; `path` is what it is called.

    Raises:
        ConflictError: it does.
    """
    now = digest_content(target.read_bytes()) if target.is_file() else ""
    if now == known:
        return
    if not known:
        raise ConflictError(f"{path} is there already; choose another name.")
    what = "was changed by somebody else" if now else "was removed"
    raise ConflictError(f"{path} {what} since you opened it.")


def _describe(folder: Path, path: str) -> FunctionFile:
    content = (folder / path).read_bytes()
    return FunctionFile(path, len(content), digest_content(content), _is_text(content))


def _is_text(content: bytes) -> bool:
    if len(content) > MOST_TEXT_BYTES or b"\0" in content[:_LOOK_BYTES]:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
