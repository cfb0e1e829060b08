"""Functions from Nuclio and for it, by a file or by the dashboard's clients; and folders that are put away."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from stack import console
from stack.config.document import parse_model, write_compact
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import FILE, FOLDER, Function, find_folder, function_folders, load_function
from stack.config.yaml_loader import parse_mapping, read_mapping
from stack.docker.stack import Stack, open_stack, warn_ignored
from stack.docker.swarm.driver import open_driver
from stack.errors import ConfigError, FunctionError, StackError
from stack.plan.function_export import (
    Exported,
    NuclioFunction,
    exported_paths,
    find_plan,
    leave_out_derived,
    plan_export,
)
from stack.plan.function_import import File, Imported, plan_imports, split_export
from stack.plan.host_access import check_host_access
from stack.plan.runtime.registry import find_runtime
from stack.run.function import delete_function
from stack.run.stack import write_stack
from stack.state.deploy_log import forget_log
from stack.state.deployment import check_namesakes, is_deployed
from stack.state.lock import TREE, lock
from stack.state.project import forget_events
from stack.state.workspace import Workspace, advise, make_folder, open_workspace, write_file

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


def save_function(
    stack: Stack, document: dict[str, Any], *, told: NuclioFunction, to_broker: bool = False
) -> tuple[str, ...]:
    """Write a function's folder as a client describes it; return what cannot be as it says.

    Files that it says nothing of stay as they are. `told` is what clients were told of the function before;
    `to_broker` points it at the stack's own broker.

    Raises:
        ConflictError: another function has its name but for capital letters.
        ConfigError: it cannot run here, or asks for what stack.yaml does not allow; nothing is written then.
    """
    folder = stack.workspace.root / FOLDER / told.name
    imported = _convert(document, told, to_broker=to_broker)
    check_namesakes(stack.workspace, imported.name)
    _check(stack, imported)
    for path, file in imported.files.items():
        if path != FILE or not _says_the_same(stack, told, content=file.content):
            write_file(folder / _find_place(told, path), file.content, 0o755 if file.is_executable else 0o644)
    return imported.notes


def _check(stack: Stack, imported: Imported) -> None:
    """Refuse what may not run before it is written, so that it stands in no one's way."""
    document = parse_mapping(imported.files[FILE].content.decode(), FILE)
    config = parse_model(FunctionConfig, document, name=FILE)
    check_host_access(Function(imported.name, f"{FOLDER}/{imported.name}", config, ()), stack.settings)


def remove_function(name: str) -> None:
    """Remove whatever there is of a function; its folder is put away into .stack/state/removed/.

    Raises:
        StackError: Docker refused.
    """
    stack = open_stack(is_lenient=True)
    open_driver(stack.engine).check()
    if is_deployed(stack.workspace, name) or any(one.function == name for one in stack.engine.containers()):
        delete_function(name)
    with lock(stack.workspace, f"function-{name}"):
        # Who renders reads all folders, and holds this lock.
        with lock(stack.workspace, TREE):
            if name in function_folders(stack.workspace.root):
                _put_away(stack.workspace, name)
        forget_log(stack.workspace, name)
        forget_events(stack.workspace, name)
        _write_rendered(stack)


def _write_rendered(stack: Stack) -> None:
    """Have nothing rendered tell of a folder that is gone; what was never rendered stays so."""
    if stack.engine.compose_file.is_file():
        with lock(stack.workspace, TREE):
            fresh = stack.reread()
            write_stack(fresh, fresh.inputs)


def _find_place(told: NuclioFunction, path: str) -> str:
    """Return where a file is written: the handler's module stays a package if it is one."""
    usual = find_runtime(told.config.spec.runtime).list_sources(told.handler)[0]
    return told.source_path if told.source_path and path == usual else path


def _put_away(workspace: Workspace, name: str) -> None:
    target = workspace.state / "removed" / name
    make_folder(target.parent)
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(workspace.root / FOLDER / name, target)


def _says_the_same(stack: Stack, told: NuclioFunction, *, content: bytes) -> bool:
    """Return whether a function.yaml would only be written otherwise, without its author's comments."""
    folder = stack.workspace.root / FOLDER / told.name
    if not (folder / FILE).is_file():
        return False
    try:
        before = load_function(folder).config
    except StackError:
        return False
    # An inline source has to give way to the file.
    return (
        not before.spec.build.function_source_code
        and _convert(write_compact(before), told).files[FILE].content == content
    )


def _convert(document: dict[str, Any], told: NuclioFunction, *, to_broker: bool = False) -> Imported:
    kept = leave_out_derived(document, told)
    (imported,) = plan_imports([kept], "body", name=told.name, to_broker=to_broker, handler=told.handler)
    return imported
