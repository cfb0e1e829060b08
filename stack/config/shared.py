"""functions/.shared: code that functions of the workspace import by the name of its file or folder there."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from stack.config.runtime import RUNTIMES, runtime_of

SHARED = ".shared"


def find_imported(shared: Path, code: Path, paths: Collection[str], runtime: str) -> frozenset[str]:
    """Return which files and folders of .shared the sources of a function import, and what those import of it.

    `paths` are the function's files, below the folder of its code. An import that is not read as one brings too much
    rather than too little: any line that could be one counts.
    """
    files = RUNTIMES[runtime]
    own = {path.partition("/")[0].partition(".")[0] for path in paths} if files.imports_own else set()
    modules = {entry: name for entry, name in _list_modules(shared, runtime) if name not in own}
    sources = [code / path for path in paths if runtime_of(path) == runtime]
    found: set[str] = set()
    # What it finds is gone through too.
    for source in sources:
        text = _read(source) if modules else ""
        for entry, name in [*modules.items()]:
            if re.search(files.imports.format(name=re.escape(name)), text, re.MULTILINE):
                found.add(entry)
                modules.pop(entry)
                sources += _list_sources(shared / entry, runtime)
    return frozenset(found)


def _list_modules(shared: Path, runtime: str) -> Iterator[tuple[str, str]]:
    """Yield each file and folder that has code of a runtime, and the name by which it is imported."""
    for path in sorted(shared.iterdir()) if shared.is_dir() else ():
        if not path.name.startswith((".", "__")) and any(_list_sources(path, runtime)):
            yield path.name, path.name if path.is_dir() else path.stem


def _list_sources(path: Path, runtime: str) -> Iterator[Path]:
    paths = path.rglob("*") if path.is_dir() else (path,)
    return (one for one in paths if one.is_file() and runtime_of(one.name) == runtime)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
