"""`invoke test-function`: the tests that functions have in their folders, each run as its runtime runs tests."""

import posixpath
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from stack import console
from stack.config.runtime import runtime_of
from stack.config.source import find_folder, function_folders, read_files
from stack.contract import NODEJS
from stack.errors import FunctionError, HostError
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.runtime.runtime import Runtime
from stack.run.node_modules import write_node_modules
from stack.state.workspace import Workspace, open_workspace

# What pytest reads and runs nothing of.
_CONFTEST = "conftest."
_INFIX = ".test."


def run_tests(name: str = "") -> int:
    """Run the tests of a function, or of all; return the exit status, which is 1 where one has failed.

    Raises:
        FunctionError: there is no such function, or nothing to run.
        HostError: a runtime is not installed here.
    """
    workspace = open_workspace()
    folders = [find_folder(workspace.root, name)] if name else list(function_folders(workspace.root).values())
    found = [(runtime, folder, tests) for folder in folders for runtime, tests in _find_tests(folder)]
    if not found:
        raise FunctionError("There are no tests. They are files such as test_main.py or test.js beside the handler.")
    if any(runtime.name == NODEJS for runtime, _, _ in found):
        write_node_modules(workspace)
    return max([_run(workspace, runtime, folder, tests) for runtime, folder, tests in found])


def _find_tests(folder: Path) -> Iterator[tuple[Runtime, list[str]]]:
    """Yield the tests of each runtime that has some in a folder."""
    paths = [file.path for file in read_files(folder)]
    for runtime in RUNTIMES.values():
        if tests := [path for path in paths if _is_test(path, runtime)]:
            yield runtime, tests


def _is_test(path: str, runtime: Runtime) -> bool:
    name = posixpath.basename(path)
    is_named = name.startswith(runtime.files.tests) or _INFIX in name
    return runtime_of(name) == runtime.name and is_named and not name.startswith(_CONFTEST)


def _run(workspace: Workspace, runtime: Runtime, folder: Path, tests: list[str]) -> int:
    relative = folder.relative_to(workspace.root)
    console.note(f"{folder.name}: {', '.join(tests)}")
    command = [word.format(python=sys.executable) for word in runtime.tester]
    try:
        result = subprocess.run([*command, *(str(relative / test) for test in tests)], cwd=workspace.root, check=False)
    except FileNotFoundError as error:
        raise HostError(f"{command[0]} is not installed, and runs the tests of {folder.name}: install it.") from error
    return min(result.returncode, 1)
