"""Runtimes: what spec.runtime may be, and what the files of their functions are known by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from stack.contract import PYTHON


@dataclass(frozen=True)
class RuntimeFiles:
    """One runtime; `pattern` is a regular expression of what may be asked for, and `words` say the same."""

    pattern: str
    words: str
    suffix: str
    """What the names of its sources end with."""
    comment: str
    """What begins a line of the block @nuclio.configure."""
    tests: tuple[str, ...]
    """What the names of sources begin with that are tests, and so no function."""
    ignored_folders: tuple[str, ...] = ()
    """What its tools leave behind, and no image needs."""


RUNTIMES: Mapping[str, RuntimeFiles] = {
    PYTHON: RuntimeFiles(
        pattern=r"python(:3\.([7-9]|1[0-4]))?",
        words="python and python:3.7 to python:3.14",
        suffix=".py",
        comment="#",
        tests=("test_", "conftest."),
        ignored_folders=("__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"),
    ),
}
PATTERN = "|".join(f"^{one.pattern}$" for one in RUNTIMES.values())


def check_runtime(value: str) -> str:
    """Return a runtime that functions can have.

    Raises:
        ValueError: they cannot.
    """
    if not re.fullmatch(PATTERN, value):
        words = ", ".join(one.words for one in RUNTIMES.values())
        raise ValueError(f"{value!r} is not supported; Tidegate runs {words}")
    return value


def name_runtime(text: str) -> str:
    """Return the name of a runtime without its version."""
    return text.partition(":")[0]


def runtime_of(path: str) -> str:
    """Return the runtime whose source a file is, by its name; nothing if it is of none."""
    suffix = PurePosixPath(path).suffix
    return next((name for name, one in RUNTIMES.items() if one.suffix == suffix), "")
