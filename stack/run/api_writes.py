"""Functions that clients of the dashboard send, as folders of functions/; and folders that are put away."""

import shutil
from typing import Any

from stack.config.document import parse_model, write_compact
from stack.config.function import FunctionConfig
from stack.config.source import FILE, FOLDER, Function, function_folders, load_function
from stack.config.yaml_loader import parse_mapping
from stack.docker.stack import Stack, open_stack
from stack.errors import StackError
from stack.plan.function_export import NuclioFunction, leave_out_derived
from stack.plan.function_import import Imported, plan_imports
from stack.plan.host_access import check_host_access
from stack.plan.runtime.registry import find_runtime
from stack.run.function import delete_function
from stack.run.stack import write_stack
from stack.state.deploy_log import forget_log
from stack.state.deployment import check_namesakes, is_deployed
from stack.state.lock import TREE, lock
from stack.state.project import forget_events
from stack.state.workspace import Workspace, make_folder, write_file


def save_function(stack: Stack, document: dict[str, Any], told: NuclioFunction) -> tuple[str, ...]:
    """Write a function's folder as a client describes it; return what cannot be as it says.

    Files that it says nothing of stay as they are. `told` is what clients were told of the function before.

    Raises:
        ConflictError: another function has its name but for capital letters.
        ConfigError: it cannot run here, or asks for what stack.yaml does not allow; nothing is written then.
    """
    folder = stack.workspace.root / FOLDER / told.name
    imported = _write(document, told)
    check_namesakes(stack.workspace, imported.name)
    _check(stack, imported)
    for path, file in imported.files.items():
        if path != FILE or not _says_the_same(stack, told, file.content):
            write_file(folder / _find_place(told, path), file.content, 0o755 if file.is_executable else 0o644)
    return imported.notes


def _check(stack: Stack, imported: Imported) -> None:
    """Refuse what may not run before it is written, so that it stands in no one's way."""
    document = parse_mapping(imported.files[FILE].content.decode(), FILE)
    config = parse_model(FunctionConfig, document, FILE)
    check_host_access(Function(imported.name, f"{FOLDER}/{imported.name}", config, ()), stack.settings)


def remove_function(name: str) -> None:
    """Remove whatever there is of a function; its folder is put away into .stack/state/removed/.

    Raises:
        StackError: Docker refused.
    """
    stack = open_stack(is_lenient=True)
    stack.engine.check()
    if is_deployed(stack.workspace, name) or any(one.function == name for one in stack.engine.containers()):
        delete_function(name)
    with lock(stack.workspace, f"function-{name}"):
        if name in function_folders(stack.workspace.root):
            _put_away(stack.workspace, name)
        forget_log(stack.workspace, name)
        forget_events(stack.workspace, name)
        _write_rendered(stack)


def _write_rendered(stack: Stack) -> None:
    """Have nothing rendered tell of a folder that is gone; what was never rendered stays so."""
    if stack.workspace.compose.is_file():
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


def _says_the_same(stack: Stack, told: NuclioFunction, content: bytes) -> bool:
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
        and _write(write_compact(before), told).files[FILE].content == content
    )


def _write(document: dict[str, Any], told: NuclioFunction) -> Imported:
    (imported,) = plan_imports([leave_out_derived(document, told)], "body", name=told.name, handler=told.handler)
    return imported
