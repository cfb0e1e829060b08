"""Configuration in the source, a block that Nuclio calls `@nuclio.configure`; and how two configurations are joined."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from stack.config.function import DEFAULT_HTTP, FunctionConfig
from stack.config.introspect import known_keys, model_of, step_into
from stack.config.runtime import RUNTIMES, is_handler, runtime_of
from stack.config.yaml_loader import parse_mapping
from stack.contract import HTTP, PYTHON
from stack.errors import ConfigError

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def merge_configs(base: dict[str, Any], fill: dict[str, Any]) -> dict[str, Any]:
    """Fill what a function's configuration leaves empty; `base` wins wherever it says something.

    Mappings are joined key by key and `env` by the variables' names. Of two http triggers the default one goes.
    """
    merged: dict[str, Any] = _merge(FunctionConfig, base, fill=fill)
    triggers = _find(_find(merged, "spec"), "triggers")
    kinds = {name: _find(trigger, "kind") for name, trigger in triggers.items()} if isinstance(triggers, dict) else {}
    if list(kinds.values()).count(HTTP) > 1:
        triggers.pop(DEFAULT_HTTP, None)
    return merged


def handler_of(document: dict[str, Any]) -> str:
    """Return the handler that a configuration names, if it does."""
    handler = _find(_find(document, "spec"), "handler")
    return handler if isinstance(handler, str) else ""


def name_of(document: dict[str, Any]) -> str:
    """Return the name that a configuration gives its function, if it does."""
    name = _find(_find(document, "metadata"), "name")
    return name if isinstance(name, str) else ""


def _merge(annotation: Any, base: Any, *, fill: Any) -> Any:
    if base in _EMPTY:
        return fill
    if not isinstance(base, dict) or not isinstance(fill, dict):
        return base
    merged = {_spell(annotation, key): item for key, item in base.items()}
    for key, item in ((_spell(annotation, key), item) for key, item in fill.items()):
        inner = step_into(annotation, key)
        merged[key] = (
            _join_variables(merged.get(key), item) if key == "env" else _merge(inner, merged.get(key), fill=item)
        )
    return merged


def _join_variables(base: Any, fill: Any) -> Any:
    if not isinstance(base, list) or not isinstance(fill, list):
        return base or fill
    known = [_find(variable, "name") for variable in base]
    return [*base, *(variable for variable in fill if _find(variable, "name") not in known)]


def _spell(annotation: Any, key: Any) -> Any:
    """Return a model's key as the model spells it, and any other as it is."""
    model = model_of(annotation)
    keys = known_keys(model) if model else []
    return next((known for known in keys if known.lower() == str(key).lower()), key)


def _find(value: Any, wanted: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((item for key, item in value.items() if str(key).lower() == wanted), None)


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


def find_handler(source: str, runtime: str = PYTHON) -> str:
    """Return the handler that a source's block names; nothing where it names none, or none that can be."""
    try:
        document = parse_mapping(find_block(source, RUNTIMES[runtime].comment), _KEY).get(_KEY)
    except ConfigError:
        return ""
    handler = handler_of(document) if isinstance(document, dict) else ""
    return handler if is_handler(runtime, handler) else ""


def find_source_runtime(folder: Path, handler: str) -> str:
    """Return the runtime that a function's source is of, by its name; nothing where there is no one source."""
    path = _find_source(folder, handler)
    return runtime_of(path.name) if path else ""


def is_source_alone(folder: Path) -> bool:
    """Return whether a folder without function.yaml is a function: one source file, or one with a block."""
    sources = _sources(folder) if folder.name[0].isalnum() else []
    return len(sources) == 1 or len(_with_block(sources)) == 1


def _find_source(folder: Path, handler: str) -> Path | None:
    if handler:
        # What is no handler is refused later, and must not lead out of the folder now.
        stems = {one: one.find_stem(handler) for name, one in RUNTIMES.items() if is_handler(name, handler)}
        modules = (folder / f"{stem}{suffix}" for one, stem in stems.items() for suffix in one.suffixes)
        return next((path for path in modules if path.is_file()), None)
    sources = _sources(folder)
    named = [path for stem in ("main", folder.name) for path in sources if path.stem == stem]
    found = named[:1] or (sources if len(sources) == 1 else _with_block(sources))
    return found[0] if len(found) == 1 else None


def _sources(folder: Path) -> list[Path]:
    paths = [path for path in sorted(folder.glob("*")) if path.is_file()]
    sources = [path for path in paths if _is_source(path.name)]
    return sorted(sources, key=lambda path: list(RUNTIMES).index(runtime_of(path.name)))


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
