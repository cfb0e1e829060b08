"""What a requirements.txt refers to: other files of requirements, and what pip installs from the folder itself."""

import posixpath
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = "requirements.txt"

# Options of pip's that name a file or a folder.
_OPTIONS = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-f": "--find-links"}
_LISTS = ("--requirement", "--constraint")
# What pip takes for a file or a folder where no option stands before it.
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_EXTRAS = re.compile(r"\[[^]]*\]$")


@dataclass(frozen=True)
class Requirements:
    """What one requirements.txt needs beside it: paths below the function's folder."""

    path: str
    others: tuple[str, ...] = ()
    """The files that it names as further requirements or constraints, and what these name."""
    needs_code: bool = False
    """Whether something is installed from the folder itself."""
    missing: tuple[tuple[str, str], ...] = ()
    """Where something is named that is not in the folder, and its path."""
    problem: str = ""
    """What is wrong in the file, with its line; nothing where that is pip's or npm's to tell."""


@dataclass(frozen=True)
class _Reference:
    option: str
    value: str
    line: int


def read_requirements(folder: Path, paths: Collection[str]) -> tuple[Requirements, ...]:
    """Read each requirements.txt among the files of a folder; those that refer to nothing are left out."""
    found = (_follow(folder, path, paths=paths) for path in paths if posixpath.basename(path) == NAME)
    return tuple(one for one in found if one != Requirements(one.path))


def locate_requirements(handler: str, paths: Collection[str]) -> str:
    """Return the path of the requirements.txt that counts: beside the handler, or else in the function's own folder."""
    beside = posixpath.join(posixpath.dirname(handler.partition(":")[0].replace(".", "/")), NAME)
    return beside if beside in paths else NAME


def _follow(folder: Path, start: str, *, paths: Collection[str]) -> Requirements:
    lists, missing, needs_code = [start], [], False
    for path in lists:
        for one in _read_references(folder, path):
            target = _locate(one, path, start=start)
            is_there = not target or _is_there(target, paths)
            if not is_there and one.option != "--find-links":
                missing.append((f"{path}, line {one.line}", target))
            elif not target or one.option not in _LISTS:
                needs_code = needs_code or is_there
            elif target not in lists:
                lists.append(target)
    return Requirements(start, tuple(lists[1:]), needs_code, tuple(missing))


def _is_there(target: str, paths: Collection[str]) -> bool:
    return target == "." or target in paths or any(path.startswith(f"{target}/") for path in paths)


def _locate(one: _Reference, path: str, *, start: str) -> str:
    """Return the path below the folder; nothing for an absolute one, or one with a variable, which only pip finds.

    It looks for lists beside the file that names them, and for packages where it runs: beside the first file.
    """
    if one.value.startswith(("/", "file:")) or "${" in one.value:
        return ""
    base = path if one.option in (*_LISTS, "--find-links") else start
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), one.value))


def _read_references(folder: Path, path: str) -> Iterator[_Reference]:
    file = folder / path
    try:
        is_own = file.resolve().is_relative_to(folder.resolve())
        text = file.read_text(encoding="utf-8-sig", errors="replace") if is_own else ""
    except (OSError, RuntimeError):
        return
    for number, line in _join_lines(text):
        words = _read_options(line) if line.startswith("-") else _read_package(line)
        yield from (_Reference(option, value, number) for option, value in words if not _is_far(value))


def _join_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines without comments, and the number of each; a backslash at the end glues the next one on."""
    held, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            held += line[:-1]
            continue
        yield first, _COMMENT.sub("", held + line).strip()
        held, first = "", 0
    if held:
        yield first, _COMMENT.sub("", held).strip()


def _read_options(line: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(line)
    except ValueError:
        return
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, is_joined, value = word.partition("=")
        if not word.startswith("--") and word[:2] in _OPTIONS:
            name, value = word[:2], word[2:].removeprefix("=")
        elif not is_joined:
            value = ""
        option = _OPTIONS.get(name, name)
        if option in _OPTIONS.values() and (value or following):
            yield option, _EXTRAS.sub("", value or following)


def _read_package(line: str) -> Iterator[tuple[str, str]]:
    """Yield what a line installs from a file or a folder."""
    _, is_address, address = line.partition("@")
    if is_address and address.strip().startswith("file:"):
        yield "", address.strip().split()[0]
        return
    word = _EXTRAS.sub("", re.split(r"\s|;", line)[0])
    if word.startswith(".") or word.endswith(_ARCHIVES) or "/" in word.partition("@")[0]:
        yield "", word


def _is_far(value: str) -> bool:
    return bool(_SCHEME.match(value)) and not value.startswith("file:")
