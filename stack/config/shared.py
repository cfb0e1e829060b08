"""functions/.shared: code that functions of the workspace import by the name of its file or folder there."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from stack.config.runtime import RUNTIMES, runtime_of

SHARED = ".shared"


def find_imported(shared: Path, runtime: str, *, texts: Iterable[str], own: Collection[str]) -> frozenset[str]:
    """Return which files and folders of .shared sources import, and what those import of it.

    `texts` are the sources of a function, and `own` the paths of its files. An import that is not read as one brings
    too much rather than too little: any line that could be one counts.
    """
    files = RUNTIMES[runtime]
    hidden = {_name_module(path) for path in own if files.imports_own and runtime_of(path) == runtime}
    modules = {entry: name for entry, name in _list_modules(shared, runtime) if name not in hidden}
    waiting, found = [*texts] if modules else [], set[str]()
    # What is found is gone through too.
    for text in waiting:
        # As one line what goes on in the next.
        joined = text.replace("\\\n", " ")
        for entry, name in [*modules.items()]:
            if re.search(files.imports.format(name=re.escape(name)), joined, re.MULTILINE):
                found.add(entry)
                modules.pop(entry)
                waiting += map(read_source, _list_sources(shared / entry, runtime))
    return frozenset(found)


def read_source(path: Path) -> str:
    """Return the text of a source; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _name_module(path: str) -> str:
    """Return the name by which a source is imported, or the folder that it is in."""
    return path.partition("/")[0].partition(".")[0]


def _list_modules(shared: Path, runtime: str) -> Iterator[tuple[str, str]]:
    """Yield each file and folder that has code of a runtime, and the name by which it is imported."""
    for path in sorted(shared.iterdir()) if shared.is_dir() else ():
        if not path.name.startswith((".", "__")) and any(_list_sources(path, runtime)):
            yield path.name, path.name if path.is_dir() else path.stem


def _list_sources(path: Path, runtime: str) -> Iterator[Path]:
    paths = path.rglob("*") if path.is_dir() else (path,)
    return (one for one in paths if one.is_file() and runtime_of(one.name) == runtime)
