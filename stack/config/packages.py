"""What a package.json needs beside it when npm installs its packages."""

import json
import posixpath
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from stack.config.requirements import Requirements

NAME = "package.json"
# Files by which npm goes too: of the first two, where one is there, it installs exactly what they name.
LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
_SETTINGS = ".npmrc"
_DEPENDENCIES = ("dependencies", "optionalDependencies", "overrides")
# Scripts that npm runs when it installs, and beginnings of versions that are folders.
_SCRIPTS = frozenset(("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare"))
_FOLDERS = ("file:", "link:", "./", "../", "/", "~")


def read_packages(folder: Path, paths: Collection[str]) -> tuple[Requirements, ...]:
    """Read each package.json among the files of a folder; those that need nothing else are left out."""
    found = (_read(folder, path, paths=paths) for path in paths if posixpath.basename(path) == NAME)
    return tuple(one for one in found if one != Requirements(one.path))


def _read(folder: Path, path: str, *, paths: Collection[str]) -> Requirements:
    beside = (posixpath.join(posixpath.dirname(path), name) for name in (*LOCKS, _SETTINGS))
    others = tuple(one for one in beside if one in paths)
    try:
        document = json.loads((folder / path).read_bytes())
    except json.JSONDecodeError as error:
        return Requirements(path, others, problem=f"line {error.lineno}: {error.msg}")
    except (OSError, ValueError):
        document = {}
    return Requirements(path, others, needs_code=isinstance(document, dict) and any(_find_code(document)))


def _find_code(document: Mapping[str, Any]) -> Iterator[bool]:
    """Yield whether each part needs files of the function to be there."""
    yield "workspaces" in document
    yield not _SCRIPTS.isdisjoint(_list_items(document, "scripts"))
    for key in _DEPENDENCIES:
        yield any(str(version).startswith(_FOLDERS) for version in _list_items(document, key).values())


def _list_items(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}
