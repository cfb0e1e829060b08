"""Functions from Nuclio and for it: import-function and export-function."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from stack import console
from stack.config.settings import Settings
from stack.config.source import FOLDER, find_folder, load_function
from stack.config.yaml_loader import parse_mapping, read_mapping
from stack.docker.stack import open_stack, warn_ignored
from stack.errors import ConfigError, FunctionError
from stack.plan.function_export import Exported, exported_paths, find_plan, plan_export
from stack.plan.function_import import File, Imported, plan_imports, split_export
from stack.state.deployment import check_namesakes
from stack.state.workspace import Workspace, advise, open_workspace, write_file

_STANDARD_INPUT = "-"


def import_functions(source: str, *, name: str, force: bool, to_broker: bool) -> None:
    """Write the functions of a file into functions/, each as a folder.

    Raises:
        ConfigError: one of them cannot run here; nothing is written then.
        FunctionError: there is no such file, or a folder is there already.
        ConflictError: another function has one of the names but for capital letters.
    """
    workspace = open_workspace()
    if source != _STANDARD_INPUT and not Path(source).exists():
        raise FunctionError(f"There is no file {source}. Name a function.yaml, or - for standard input.")
    title = "standard input" if source == _STANDARD_INPUT else source
    document = (
        parse_mapping(sys.stdin.read(), title) if source == _STANDARD_INPUT else read_mapping(Path(source), title)
    )
    functions = split_export(document, title)
    if name and len(functions) > 1:
        raise ConfigError([f"{title}: holds {len(functions)} functions; --name can name one only"])
    imports = plan_imports(functions, title, name=name, to_broker=to_broker)
    taken = [one.name for one in imports if (workspace.root / FOLDER / one.name).exists()]
    if taken and not force:
        folders = ", ".join(f"{FOLDER}/{one}" for one in taken)
        raise FunctionError(f"{folders}: there already; --force overwrites its files, --name takes another name.")
    check_namesakes(workspace, *(one.name for one in imports))
    for one in imports:
        _write(workspace, one)


def export_function(name: str, *, as_json: bool) -> None:
    """Print a function as one document that Nuclio's own tools accept.

    Raises:
        FunctionError: there is no such function, or it is too large for one document.
    """
    stack = open_stack()
    exported = make_export(find_folder(stack.workspace.root, name), stack.settings)
    for note in exported.notes:
        console.warn(f"{note}.")
    if as_json:
        console.show_json(exported.document)
    else:
        console.show_text(yaml.safe_dump(exported.document, sort_keys=False, allow_unicode=True, width=120))


def make_export(folder: Path, settings: Settings) -> Exported:
    """Return a function's folder as one document.

    Raises:
        ConfigError: the function is wrong.
        FunctionError: it is too large for one document, or a file cannot be read.
    """
    function = load_function(folder)
    plan = find_plan(function, settings)
    paths = exported_paths(plan)
    left_out = [path for path in paths if not _is_own_file(folder, path)]
    exported = plan_export(plan, _read(folder, [path for path in paths if path not in left_out]))
    notes = [f"{path}: left out, since it is a link that leads out of the folder, or to no file" for path in left_out]
    return replace(exported, notes=(*exported.notes, *notes))


def _write(workspace: Workspace, one: Imported) -> None:
    folder = workspace.root / FOLDER / one.name
    for path, file in one.files.items():
        write_file(folder / path, file.content, 0o755 if file.is_executable else 0o644)
    for note in one.notes:
        console.say(f"{FOLDER}/{one.name}: {note}.")
    warn_ignored([load_function(folder)])
    written = ", ".join(sorted(one.files))
    console.success(f"{FOLDER}/{one.name} has {written}. `invoke deploy-function {one.name}` starts it.")


def _is_own_file(folder: Path, path: str) -> bool:
    """Return whether a path is a file of the folder; a link may lead anywhere."""
    target = (folder / path).resolve()
    return target.is_relative_to(folder.resolve()) and target.is_file()


def _read(folder: Path, paths: list[str]) -> Mapping[str, File]:
    try:
        return {path: _read_file(folder / path) for path in paths}
    except OSError as error:
        hint = advise(error, Path(error.filename))
        raise FunctionError(f"{error.filename} cannot be read: {error.strerror}. {hint}") from error


def _read_file(path: Path) -> File:
    return File(path.read_bytes(), bool(path.stat().st_mode & 0o100))
