"""A function's folder: its function.yaml and the files beside it."""

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stack.config.document import parse_model
from stack.config.environment import Variable
from stack.config.function import FunctionConfig, Spec, check_name
from stack.config.inline import find_source_runtime, handler_of, is_source_alone, merge_configs, name_of, read_inline
from stack.config.packages import read_packages
from stack.config.problem import Problem
from stack.config.requirements import Requirements, read_requirements
from stack.config.runtime import RUNTIMES, name_runtime, runtime_of
from stack.config.shared import SHARED, find_imported, read_source
from stack.config.yaml_loader import read_mapping
from stack.contract import PYTHON
from stack.errors import AccessError, ConfigError, FunctionError

# Keys of spec that are taken as they are.
_TAKEN = ("handler", "description", "triggers", "outputs", "onSuccess", "runtimeAttributes")
# Keys that are refused, by their name in the models; what a function's own function.yaml says too is no request.
_REFUSED = ("volumes", "devices", "security_context", "env_from", "resources", "platform", "image")
_REFUSED_OF_BUILD = ("flags", "base_image", "onbuild_image", "directives", "image")
# A line that goes on in the next one, and what BuildKit passes over between the two.
_CONTINUED = re.compile(r"\\[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_OWN = "write it into the function's own function.yaml if it is to be so"


@dataclass(frozen=True)
class Fetched:
    """A fetched configuration: what is taken of it, the keys of that, and the keys that are left out."""

    document: dict[str, Any]
    taken: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def take_fetched(there: Mapping[str, Any], own: FunctionConfig, *, name: str) -> Fetched:
    """Return what is taken of a fetched configuration; `name` stands for its file in errors.

    Raises:
        ConfigError: it is wrong.
        AccessError: it asks for what only a function's own function.yaml may ask for.
    """
    spec = parse_model(FunctionConfig, there, name=name).spec
    problems = [
        *_find_refused(spec, own.spec),
        *_find_variables(spec.env, own.spec.env),
        *_find_triggers(spec, own.spec),
        *_find_outputs(spec, own.spec),
        *_find_commands(spec.build.commands),
    ]
    if problems:
        raise AccessError([f"{name}: spec.{problem}" for problem in problems])
    given = spec.model_dump(by_alias=True, mode="json", exclude_unset=True)
    taken = {key: value for key, value in given.items() if key in _TAKEN and value}
    if plain := [one for one in given.get("env", []) if "valueFrom" not in one]:
        taken["env"] = plain
    if commands := given.get("build", {}).get("commands"):
        taken["build"] = {"commands": commands}
    keys = ("build.commands" if key == "build" else key for key in taken)
    return Fetched({"spec": taken}, tuple(keys), tuple(_list_left_out(given, taken)))


def _list_left_out(given: Mapping[str, Any], taken: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key, value in given.items() if key not in (*taken, "build", "env") and value)
    yield from (f"build.{key}" for key, value in given.get("build", {}).items() if key != "commands" and value)


def _find_refused(spec: Spec, own: Spec) -> Iterator[Problem]:
    pairs = [((), spec, own, _REFUSED), (("build",), spec.build, own.build, _REFUSED_OF_BUILD)]
    for path, model, mine, names in pairs:
        for name in names:
            field = type(model).model_fields[name]
            value = getattr(model, name)
            if value not in (field.get_default(call_default_factory=True), getattr(mine, name)):
                yield _refuse(*path, field.alias or name)


def _find_variables(env: list[Variable], own: list[Variable]) -> Iterator[Problem]:
    for number, variable in enumerate(env):
        if variable.value_from and variable not in own:
            yield _refuse("env", str(number), "valueFrom")


def _find_triggers(spec: Spec, own: Spec) -> Iterator[Problem]:
    """Find triggers that name a secret of the stack or a port of this machine, or do without the gateway's login."""
    for name, trigger in spec.triggers.items():
        mine = own.triggers.get(name)
        if trigger.secret and trigger.secret != getattr(mine, "secret", ""):
            yield _refuse("triggers", name, "secret")
        for key in trigger.own_attributes:
            value = getattr(trigger.attributes, key)
            if value and not (type(mine) is type(trigger) and getattr(mine.attributes, key) == value):
                yield _refuse("triggers", name, "attributes", key)


def _find_outputs(spec: Spec, own: Spec) -> Iterator[Problem]:
    """Find outputs that name a secret of the stack."""
    for name, output in spec.outputs.items():
        for key in output.own_keys:
            if getattr(output, key) and getattr(output, key) != getattr(own.outputs.get(name), key, None):
                yield _refuse("outputs", name, key)


def _find_commands(commands: list[str]) -> Iterator[Problem]:
    """Find commands that begin with an option of RUN, such as what it mounts."""
    for number, command in enumerate(commands):
        if _CONTINUED.sub("", command.strip()).lstrip().startswith("--"):
            yield _refuse("build", "commands", str(number))


def _refuse(*path: str) -> Problem:
    return Problem(path, f"is not taken from code that is fetched; {_OWN}")


FOLDER = "functions"
FILE = "function.yaml"

# What never belongs into an image; the same patterns are rendered as the build's .dockerignore.
IGNORED_FOLDERS = frozenset({".git", *(folder for one in RUNTIMES.values() for folder in one.ignored_folders)})
IGNORED_SUFFIX = ".pyc"
# What an image installs itself, beside the file that says what.
_INSTALLED = tuple(one.installed for one in RUNTIMES.values() if one.installed)
_INSTALLED_FOLDERS = frozenset(made for _, made in _INSTALLED)


_LINK = "link:"


@dataclass(frozen=True)
class SourceFile:
    """One file of a function: its path below the folder, and a digest of its content and mode."""

    path: str
    digest: str

    @property
    def link(self) -> str:
        """Return where it leads, if it is a symbolic link; else nothing."""
        return self.digest.removeprefix(_LINK) if self.digest.startswith(_LINK) else ""


@dataclass(frozen=True)
class Function:
    """A function as its author wrote it. Folders are relative to the workspace, with forward slashes.

    `code` is the folder of the files, if they are not beside function.yaml; `is_fetched` says that they are known.
    """

    name: str
    folder: str
    config: FunctionConfig
    files: tuple[SourceFile, ...]
    inline: str = ""
    """The file whose `@nuclio.configure` counts, if there is one."""
    code: str = ""
    is_fetched: bool = True
    requirements: tuple[Requirements, ...] = ()
    """What each requirements.txt or package.json refers to, where it does."""
    origin: str = ""
    """Where the code was fetched from, without an account."""
    version: str = ""
    """The commit or the digest that was fetched, such as sha256:…"""
    shared: tuple[SourceFile, ...] = ()
    """What it imports of functions/.shared; paths are below that."""
    fetched: Fetched = field(default_factory=lambda: Fetched({}))
    """What is taken of the configuration beside the code."""
    content: str = field(default="", compare=False)
    """The digest of configuration and files, where the files themselves are not known any more."""

    @property
    def document(self) -> str:
        """Return the path by which errors name the function's configuration."""
        return _name_document(self.folder, self.inline, has_file=any(file.path == FILE for file in self.files))

    @property
    def context(self) -> str:
        """Return the folder that goes into the image."""
        return self.code or self.folder


def function_folders(workspace: Path) -> dict[str, Path]:
    """Find the folders of functions/ that hold a function, by name; hidden ones are of something else."""
    parent = workspace / FOLDER
    return {name: parent / name for name in _list_names(parent) if _holds_function(parent / name)}


def _list_names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []


def _holds_function(folder: Path) -> bool:
    is_wanted = folder.is_dir() and not folder.name.startswith(".") and folder.name not in _INSTALLED_FOLDERS
    return is_wanted and ((folder / FILE).is_file() or is_source_alone(folder))


def load_function(folder: Path) -> Function:
    """Read one function: its function.yaml, and what its source says beside it.

    Raises:
        ConfigError: its configuration is wrong; every problem is named with its path. Or a file went away meanwhile,
            or cannot be read.
    """
    try:
        return _load_function(folder)
    except FileNotFoundError as error:
        gone = Path(error.filename or folder).name
        problem = f"{FOLDER}/{folder.name}: {gone} went away while the folder was read; try again"
        raise ConfigError([problem]) from error
    except PermissionError as error:
        path = os.path.relpath(error.filename or folder, folder.parent.parent)
        problem = f"{path} cannot be read: {error.strerror}; let your user read it, or remove it"
        raise ConfigError([problem]) from error


def _load_function(folder: Path) -> Function:
    relative = f"{FOLDER}/{folder.name}"
    given, inline = read_configuration(folder)
    document = _name_document(relative, inline, has_file=(folder / FILE).exists())
    misnamed = _find_misnomer(folder, name_of(given), document=document)
    try:
        config = parse_model(FunctionConfig, given, name=document)
    except ConfigError as error:
        known = any("metadata.name: " in problem for problem in error.problems)
        raise ConfigError([*error.problems, *(() if known else misnamed)]) from error
    if misnamed:
        raise ConfigError(misnamed)
    files = read_files(folder)
    found, shared = _read_requirements(folder, files), _read_shared(folder.parent, folder, files=files, config=config)
    return Function(folder.name, relative, config, files, inline, requirements=found, shared=shared)


def _find_misnomer(folder: Path, name: str, *, document: str) -> list[str]:
    """Return whether a function is called otherwise than its folder, or its folder as no function can be."""
    if name and name != folder.name:
        return [f"{document}: metadata.name: should be {folder.name!r}, the name of its folder, not {name!r}"]
    try:
        check_name(folder.name)
    except ValueError as error:
        return [f"{FOLDER}/{folder.name}: the folder's name {error}"]
    return []


def read_configuration(folder: Path) -> tuple[dict[str, Any], str]:
    """Read what a function's files say, as it stands there, and the name of the source that says some of it.

    Raises:
        ConfigError: a file cannot be read, or is not YAML.
    """
    path = folder / FILE
    given = read_mapping(path, f"{FOLDER}/{folder.name}/{FILE}") if path.exists() else {}
    inline = read_inline(folder, handler_of(given))
    document = merge_configs(given, inline.document) if inline else given
    runtime = find_source_runtime(folder, handler_of(document))
    if runtime not in ("", PYTHON):
        document = merge_configs(document, {"spec": {"runtime": runtime}})
    return document, inline.file if inline else ""


def add_code(function: Function, own: Path, *, code: Path, workspace: Path) -> Function:
    """Give a function of the folder `own` its code, which is elsewhere; what is configured there fills what is empty.

    Raises:
        AccessError: the configuration beside the code asks for what only the function's own may ask for.
        ConfigError: it is wrong.
    """
    relative = Path(os.path.relpath(code, workspace)).as_posix()
    there, inline = read_configuration(code)
    config, fetched = function.config, Fetched({})
    if there:
        document = _name_document(relative, inline, has_file=(code / FILE).exists())
        fetched = take_fetched(there, function.config, name=document)
        given, _ = read_configuration(own)
        named = merge_configs({"metadata": {"name": function.name}}, given)
        config = parse_model(FunctionConfig, merge_configs(named, fetched.document), name=document)
    files = read_files(code)
    found, shared = _read_requirements(code, files), _read_shared(own.parent, code, files=files, config=config)
    return replace(
        function, config=config, files=files, code=relative, requirements=found, shared=shared, fetched=fetched
    )


def find_folder(workspace: Path, name: str) -> Path:
    """Find the folder of a function.

    Raises:
        FunctionError: there is none of that name.
    """
    parent = workspace / FOLDER
    # A name is no path, wherever it comes from.
    if name not in _list_names(parent) or not _holds_function(parent / name):
        known = ", ".join(function_folders(workspace)) or "none yet"
        raise FunctionError(f"There is no {FOLDER}/{name}/{FILE}. Functions here: {known}.")
    return parent / name


def _name_document(folder: str, inline: str, *, has_file: bool) -> str:
    return f"{folder}/{FILE if has_file or not inline else inline}"


def is_installed(folder: str, name: str, *, files: Collection[str]) -> bool:
    """Return whether a folder, by its name and that of its parent, holds what an image installs itself."""
    made = {made for said, made in _INSTALLED if said in files}
    return name in made and name not in folder.split("/")


def read_files(folder: Path) -> tuple[SourceFile, ...]:
    """List the files of a folder that go into an image.

    Raises:
        ConfigError: the name of one is no text, with which there is no build.
    """
    found = tuple(_read_files(folder))
    shown = [one.path.encode(errors="surrogateescape").decode(errors="replace") for one in found]
    wrong = [text for text, one in zip(shown, found, strict=True) if text != one.path]
    if wrong:
        raise ConfigError([f"{FOLDER}/{folder.name}: the name of {text} is no UTF-8; rename it" for text in wrong])
    return found


def _read_shared(
    functions: Path, code: Path, *, files: tuple[SourceFile, ...], config: FunctionConfig
) -> tuple[SourceFile, ...]:
    """List the files of what a function imports of .shared; links are none of it."""
    folder = functions / SHARED
    if not folder.is_dir():
        return ()
    paths, runtime = [file.path for file in files], name_runtime(config.spec.runtime)
    texts = [read_source(code / path) for path in paths if runtime_of(path) == runtime]
    inline = config.spec.build.source.decode(errors="replace")
    names = find_imported(folder, runtime, texts=[*texts, inline], own=paths)
    shared = read_files(folder) if names else ()
    return tuple(one for one in shared if one.path.partition("/")[0] in names and not one.link)


def _read_requirements(folder: Path, files: tuple[SourceFile, ...]) -> tuple[Requirements, ...]:
    paths = dict.fromkeys(file.path for file in files)
    return (*read_requirements(folder, paths), *read_packages(folder, paths))


def _read_files(folder: Path) -> Iterator[SourceFile]:
    for name in sorted(_list_paths(folder), key=lambda one: one.split("/")):
        path = Path(folder, name)
        if path.suffix == IGNORED_SUFFIX:
            continue
        if path.is_symlink():
            yield SourceFile(name, f"{_LINK}{path.readlink()}")
        elif path.is_file():
            mode = "x" if path.stat().st_mode & 0o100 else "-"
            yield SourceFile(name, f"{mode}:{hashlib.sha256(path.read_bytes()).hexdigest()}")


def _list_paths(folder: Path) -> Iterator[str]:
    """Yield the paths below a folder that count, of links to folders too; in a tenth of what pathlib takes."""
    start = len(str(folder)) + 1
    for parent, below, files in os.walk(folder):
        below[:] = [one for one in below if one not in IGNORED_FOLDERS and not is_installed(parent, one, files=files)]
        links = (one for one in below if Path(parent, one).is_symlink())
        yield from (f"{parent[start:]}/{one}".lstrip("/") for one in (*files, *links) if one not in IGNORED_FOLDERS)
