"""Runtimes: what spec.runtime may be, and what the files of their functions are known by."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from stack.contract import NODEJS, PYTHON


@dataclass(frozen=True)
class RuntimeFiles:
    """One runtime; `pattern` is a regular expression of what may be asked for, and `words` say the same."""

    pattern: str
    words: str
    suffix: str
    """What the names of its sources end with."""
    handler: str
    """A regular expression of a handler's name: the file, and what is called there."""
    handler_words: str
    comment: str
    """What begins a line of the block @nuclio.configure."""
    tests: tuple[str, ...]
    """What the names of sources begin with that are tests, and so no function."""
    imports: str
    """A regular expression of what imports the module {name}."""
    imports_own: bool = False
    """Whether a file of the function's own is imported by such a name too, and then is the one."""
    ignored_folders: tuple[str, ...] = ()
    """What its tools leave behind, and no image needs."""
    other_suffixes: tuple[str, ...] = ()
    """Other endings that the names of sources may have."""
    default_file: str = ""
    """The file that a handler's name means which has no file in it."""
    has_dotted_names: bool = False
    """Whether a dot in a handler's name stands for a folder."""
    has_batches: bool = False
    """Whether a handler can get several events at once."""
    installed: tuple[str, str] | None = None
    """A file, and the folder beside it of what is installed as that file says, which no image takes from there."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Return all that the names of its sources may end with."""
        return self.suffix, *self.other_suffixes

    def find_stem(self, handler: str) -> str:
        """Return where a handler's file is below the function's folder, without its suffix."""
        file, _, name = handler.partition(":")
        if self.has_dotted_names:
            return file.replace(".", "/")
        stem, suffix = posixpath.splitext(file if name else self.default_file)
        return posixpath.normpath(stem if suffix in self.suffixes else stem + suffix)


RUNTIMES: Mapping[str, RuntimeFiles] = {
    PYTHON: RuntimeFiles(
        pattern=r"python(:3\.([7-9]|1[0-4]))?",
        words="python and python:3.7 to python:3.14",
        suffix=".py",
        handler=r"[\w|-]+(\.[\w|-]+)*:\w+",
        handler_words="module:function, such as main:handler",
        has_dotted_names=True,
        has_batches=True,
        comment="#",
        tests=("test_", "conftest."),
        imports=r"(^|[:;])\s*(from\s+{name}\b|import\s+[^#\n]*\b{name}\b)"
        r"|(import_module|__import__)\s*\([^)\n]*[\"']{name}\b",
        imports_own=True,
        ignored_folders=("__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"),
    ),
    NODEJS: RuntimeFiles(
        pattern=r"nodejs(:[1-9][0-9])?",
        words="nodejs and its versions, such as nodejs:22",
        suffix=".js",
        # The file's own suffix may stand there, and a name alone is an export of handler.js; as with Nuclio.
        handler=r"(?!/|(.*/)?\.\.(/|:|$))[\w./-]+(:[\w$]+)?",
        handler_words="file:export, such as main:handler",
        default_file="handler",
        comment="//",
        tests=("test_", "test."),
        # Whatever is quoted after such a word, or below it in brackets.
        imports=r"(\b(?:require|import|from)|Require)(\.resolve)?\b([^\n;]*?|\s*\(\s*)"
        r"[\"'`]{name}(\.[cm]?js)?(/|[\"'`])",
        other_suffixes=(".mjs", ".cjs"),
        installed=("package.json", "node_modules"),
    ),
}
PATTERN = "|".join(f"^{one.pattern}$" for one in RUNTIMES.values())
HANDLER_PATTERN = "|".join(f"^{one.handler}$" for one in RUNTIMES.values())


def check_runtime(value: str) -> str:
    """Return a runtime that functions can have.

    Raises:
        ValueError: they cannot.
    """
    if not re.fullmatch(PATTERN, value):
        words = ", ".join(one.words for one in RUNTIMES.values())
        raise ValueError(f"{value!r} is not supported; Tidegate runs {words}")
    return value


def is_handler(runtime: str, value: str) -> bool:
    """Return whether a runtime, with or without a version, has handlers of such names."""
    return re.fullmatch(RUNTIMES[name_runtime(runtime)].handler, value) is not None


def name_runtime(text: str) -> str:
    """Return the name of a runtime without its version."""
    return text.partition(":")[0]


def runtime_of(path: str) -> str:
    """Return the runtime whose source a file is, by its name; nothing if it is of none."""
    suffix = PurePosixPath(path).suffix
    return next((name for name, one in RUNTIMES.items() if suffix in one.suffixes), "")
