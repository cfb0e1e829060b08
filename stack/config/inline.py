"""Configuration in the source: a block of comments that Nuclio calls `@nuclio.configure`."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from stack.config.function import HANDLER
from stack.config.merge import handler_of
from stack.config.runtime import RUNTIMES, runtime_of
from stack.config.yaml_loader import parse_mapping
from stack.errors import ConfigError

_MARK = "@nuclio.configure"
_KEY = "function.yaml"
# A handler's name where nothing else is said, as in Nuclio.
_HANDLER = "handler"


@dataclass(frozen=True)
class Inline:
    """The block of a source file: the file's name and what the block says."""

    file: str
    document: dict[str, Any]


def find_block(source: str, comment: str = "#") -> str:
    """Return the YAML of a source's block, nothing if there is none; its lines and columns are those of the source.

    A block ends with the first line that is no comment, or with the file, where Nuclio would lose it.
    """
    lines = source.splitlines()
    for number, line in enumerate(lines, start=1):
        if line.replace(" ", "") == comment + _MARK:
            body = takewhile(lambda one: one.startswith(comment), lines[number:])
            width = len(comment) + 1
            return "\n" * number + "\n".join(f"{'':{width}}{text[width:]}" for text in body)
    return ""


def read_inline(folder: Path, handler: str) -> Inline | None:
    """Read the block of a function's source, which says where the handler is if nothing else does.

    Raises:
        ConfigError: the block is no YAML, or does not hold `function.yaml`.
    """
    path = _find_source(folder, handler)
    block = _read_block(path) if path else ""
    if not path or not block.strip():
        return None
    name = f"{folder.parent.name}/{folder.name}/{path.relative_to(folder).as_posix()}"
    content = parse_mapping(block, name)
    document = content.get(_KEY)
    if set(content) != {_KEY} or not isinstance(document, dict):
        raise ConfigError([f"{name}: # @nuclio.configure should be a mapping with the one key {_KEY!r}"])
    spec = document.get("spec")
    if not handler and isinstance(spec, dict):
        document = document | {"spec": {"handler": f"{path.stem}:{_HANDLER}"} | spec}
    return Inline(path.relative_to(folder).as_posix(), document)


def find_handler(source: str, comment: str = "#") -> str:
    """Return the handler that a source's block names; nothing where it names none, or none that can be."""
    try:
        document = parse_mapping(find_block(source, comment), _KEY).get(_KEY)
    except ConfigError:
        return ""
    handler = handler_of(document) if isinstance(document, dict) else ""
    return handler if HANDLER.fullmatch(handler) else ""


def is_source_alone(folder: Path) -> bool:
    """Return whether a folder without function.yaml is a function: one source file, or one with a block."""
    sources = _sources(folder) if folder.name[0].isalnum() else []
    return len(sources) == 1 or len(_with_block(sources)) == 1


def _find_source(folder: Path, handler: str) -> Path | None:
    if handler:
        # What is no handler is refused later, and must not lead out of the folder now.
        stem = handler.partition(":")[0].replace(".", "/") if HANDLER.fullmatch(handler) else ""
        modules = (folder / f"{stem}{one.suffix}" for one in RUNTIMES.values())
        return next((path for path in modules if stem and path.is_file()), None)
    sources = _sources(folder)
    named = [path for stem in ("main", folder.name) for path in sources if path.stem == stem]
    found = named[:1] or (sources if len(sources) == 1 else _with_block(sources))
    return found[0] if len(found) == 1 else None


def _sources(folder: Path) -> list[Path]:
    paths = [path for path in sorted(folder.glob("*")) if path.is_file()]
    return [path for path in paths if _is_source(path.name)]


def _is_source(name: str) -> bool:
    runtime = RUNTIMES.get(runtime_of(name))
    return runtime is not None and not name.startswith(runtime.tests)


def _with_block(sources: list[Path]) -> list[Path]:
    return [path for path in sources if _read_block(path).strip()]


def _read_block(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return find_block(text, RUNTIMES[runtime_of(path.name)].comment)
