"""A function of Nuclio's, taken apart into the files of a folder."""

import base64
import binascii
import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from stack.config.build import POST_COPY
from stack.config.document import collect, drop_unknown, parse_model, write_compact
from stack.config.function import FunctionConfig, Spec, check_name
from stack.config.inline import find_handler
from stack.config.source import FILE, IGNORED_FOLDERS
from stack.errors import ConfigError, FunctionError
from stack.plan.broker_rewrite import review_brokers
from stack.plan.runtime.registry import find_runtime
from stack.plan.runtime.runtime import Runtime

_COMMAND = re.compile(r"^echo ([A-Za-z0-9+/=]+) \| base64 -d \| tar -xzC /opt/nuclio$")
# Docker refuses a Dockerfile with a line of more than 65535 bytes.
_MOST = 60_000
# What one file of a command may unpack to, so that a small one cannot fill the memory.
_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """What a file holds, and whether it is a program."""

    content: bytes
    is_executable: bool = False


def pack_files(files: Mapping[str, File]) -> str:
    """Return the command that writes the files; the same files make the same command.

    Raises:
        FunctionError: they are too large for a command.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(file.content), 0o755 if file.is_executable else 0o644
            archive.addfile(entry, io.BytesIO(file.content))
    text = base64.b64encode(gzip.compress(raw.getvalue(), mtime=0)).decode()
    if len(text) > _MOST:
        raise FunctionError(
            f"Its files beside the source ({', '.join(sorted(files))}) are too large for one YAML: {len(text)} "
            f"characters of at most {_MOST}. Publish the folder as an archive or a git repository, and let "
            "spec.build.codeEntryType and spec.build.path name it."
        )
    return f"echo {text} | base64 -d | tar -xzC /opt/nuclio"


def unpack_files(command: str) -> dict[str, File]:
    """Return the files of such a command; nothing if it is another one, or has anything else than plain files."""
    match = _COMMAND.match(command.strip())
    if not match:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(match[1])), mode="r:gz") as archive:
            return {PurePosixPath(entry.name).as_posix(): _read(archive, entry) for entry in archive}
    except (ValueError, binascii.Error, tarfile.TarError, OSError, EOFError):
        return {}


def _read(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> File:
    content = archive.extractfile(entry)
    parts = PurePosixPath(entry.name).parts
    is_inside = bool(parts) and ".." not in parts and not entry.name.startswith("/")
    if content is None or not entry.isfile() or entry.size > _BYTES or not is_inside:
        raise ValueError(f"{entry.name} is no plain file of the folder")
    return File(content.read(), bool(entry.mode & 0o100))


_ORDER = ("apiVersion", "kind", "metadata", "spec")
DEFAULT_HANDLER = "main:handler"
# What Nuclio itself wrote into a function, and writes again.
_WRITTEN_METADATA = ("resourceVersion",)
_WRITTEN_ANNOTATIONS = frozenset({"skip-build", "skip-deploy", "nuclio.io/previous-state"})
_WRITTEN_SPEC = ("imageHash",)
_WRITTEN_BUILD = ("timestamp",)
# What the inline source, which becomes a file, wins over or stands for.
_SOURCE_BUILD = ("functionSourceCode", "codeEntryType", "path")


@dataclass(frozen=True)
class Imported:
    """A function's folder: its files by their paths, and what was changed or cannot be."""

    name: str
    files: Mapping[str, File]
    notes: tuple[str, ...]


def split_export(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the functions of a file: one, several by their names, or those of a project's export.

    Raises:
        ConfigError: there is none.
    """
    keys = {key.lower(): value for key, value in document.items()}
    if "spec" in keys or "metadata" in keys:
        return [document]
    found = keys.get("functions") if {"project", "functions"} & keys.keys() else document
    functions = list(found.values()) if isinstance(found, dict) else found
    if isinstance(functions, list) and functions and all(map(_has_spec, functions)):
        return functions
    raise ConfigError([f"{name}: holds no function: neither metadata and spec, nor functions by their names"])


def _has_spec(function: object) -> bool:
    """Return whether that is a function; its keys count whatever their case, as in Nuclio."""
    return isinstance(function, dict) and any(key.lower() == "spec" for key in function)


def plan_imports(
    functions: list[dict[str, Any]], document: str, *, name: str = "", to_broker: bool = False, handler: str = ""
) -> list[Imported]:
    """Take functions apart; `name` is another name than its own, `to_broker` points them at the stack's own broker.

    One that brings no code is refused, unless its folder has some, for which `handler` stands.

    Raises:
        ConfigError: one or more cannot run here; the problems of all are named together.
    """
    imports, errors = [], []
    for function in functions:
        try:
            where = _find_place(function, document) if len(functions) > 1 else document
            imports.append(_plan_import(function, where, name=name, to_broker=to_broker, handler=handler))
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise collect(errors)
    names = [one.name for one in imports]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError([f"{document}: holds several functions called {name}; rename all but one" for name in twice])
    return imports


def _find_place(function: dict[str, Any], document: str) -> str:
    """Tell one of several functions of a document by its name, if it has one."""
    metadata = function.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    return f"{document}, {name}" if name else document


def _plan_import(given: dict[str, Any], document: str, *, name: str, to_broker: bool, handler: str) -> Imported:
    rest, unknown = drop_unknown(FunctionConfig, given)
    config = parse_model(FunctionConfig, rest, name=document)
    name = _choose_name(name or config.metadata.name, document)
    if not handler:
        _require_code(config.spec, document)
    content = write_compact(config)
    content["metadata"] = {**content.get("metadata", {}), "name": name}
    spec = content.setdefault("spec", {})
    runtime = find_runtime(config.spec.runtime)
    packed = _take_files(spec, handler, runtime=runtime)
    left_out = dict(_leave_out(packed))
    files = {path: file for path, file in packed.items() if path not in left_out}
    if source := config.spec.build.source:
        handler = spec.get("handler") or handler or _choose_handler(spec, source, others=files, runtime=runtime)
        files.setdefault(runtime.list_sources(handler)[0], File(source))
    _clean(content, has_source=bool(source))
    notes = [f"{path}: left out, since Nuclio's model has no such key" for path in unknown]
    notes += [f"{path}: left out of what the build unpacks, since {reason}" for path, reason in left_out.items()]
    texts = dict(_read_texts(files))
    notes += review_brokers(spec, texts, to_broker=to_broker)
    files |= {path: replace(files[path], content=text.encode()) for path, text in texts.items()}
    ordered = {key: content[key] for key in _ORDER if key in content}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=120)
    return Imported(name, {FILE: File(text.encode()), **files}, tuple(notes))


def _require_code(spec: Spec, document: str) -> None:
    build = spec.build
    if not (build.source or build.path or spec.image or build.code_entry_type == "s3"):
        problem = "is required; if the source is a file, copy its folder to functions/ instead"
        raise ConfigError([f"{document}: spec.build.functionSourceCode: {problem}"])


def _choose_handler(spec: dict[str, Any], source: bytes, *, others: Iterable[str], runtime: Runtime) -> str:
    """Return the handler of a source, and write it down unless the source says it where it will be found."""
    named = find_handler(source.decode(errors="replace"), runtime.name)
    # A block counts in a file of the top folder that is no test, and is certain to be found only if there is no other.
    is_hidden = "/" in runtime.list_sources(named)[0] or runtime.list_sources(named)[0].startswith(runtime.files.tests)
    if not named or is_hidden or any(path.endswith(runtime.files.suffixes) for path in others):
        spec["handler"] = named or DEFAULT_HANDLER
    return named or DEFAULT_HANDLER


def _choose_name(name: str, document: str) -> str:
    if not name:
        raise ConfigError([f"{document}: metadata.name: is required; or type --name NAME"])
    try:
        check_name(name)
    except ValueError as error:
        raise ConfigError([f"{document}: the function's name {error}"]) from error
    return name


def _take_files(spec: dict[str, Any], handler: str, *, runtime: Runtime) -> dict[str, File]:
    """Take an export's other files out of the build's instructions, and what goes without saying here."""
    build = spec.get("build", {})
    directives = build.get("directives", {})
    commands, after = build.get("commands", []), directives.get("postCopy", [])
    texts = {command: unpack_files(command) for command in (*commands, *(one["value"] for one in after))}
    taken = {text for text, files in texts.items() if files}
    files = {path: file for unpacked in texts.values() for path, file in unpacked.items()}
    if not taken:
        return files
    taken.add(runtime.write_install(spec.get("handler") or handler, files))
    build["commands"] = [command for command in commands if command not in taken]
    if build["commands"][-1:] == [POST_COPY]:
        build["commands"].pop()
    directives["postCopy"] = [one for one in after if one["value"] not in taken]
    _drop_empty(directives, "postCopy")
    _drop_empty(build, "commands", "directives")
    return files


def _read_texts(files: Mapping[str, File]) -> Iterator[tuple[str, str]]:
    for path, file in files.items():
        with suppress(UnicodeDecodeError):
            yield path, file.content.decode()


def _leave_out(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the packed files that are not written, and why."""
    for path in paths:
        if path == FILE:
            yield path, "the document that is imported becomes that file"
        elif hidden := sorted(IGNORED_FOLDERS.intersection(path.split("/"))):
            yield path, f"{hidden[0]} goes into no image"


def _clean(content: dict[str, Any], *, has_source: bool) -> None:
    """Leave out what Nuclio wrote, and what the source's file stands for."""
    metadata, spec = content.get("metadata", {}), content["spec"]
    for owner, keys in (
        (metadata, _WRITTEN_METADATA),
        (metadata.get("annotations", {}), _WRITTEN_ANNOTATIONS),
        (spec, (*_WRITTEN_SPEC, "image") if has_source else _WRITTEN_SPEC),
        (spec.get("build", {}), (*_WRITTEN_BUILD, *_SOURCE_BUILD) if has_source else _WRITTEN_BUILD),
    ):
        for key in keys:
            owner.pop(key, None)
    _drop_empty(metadata, "annotations")
    _drop_empty(spec, "build")


def _drop_empty(owner: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if owner.get(key) in ([], {}):
            del owner[key]
