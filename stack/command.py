"""The command `tidegate`: Tidegate's tasks in the workspace of the current folder, wherever Tidegate itself is."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

from invoke import Program

from stack.config.settings import FILE
from stack.errors import COMMAND_VARIABLE
from stack.state.workspace import PROGRAM, VARIABLE

_NAME = "tidegate"


def run() -> None:
    """Run the tasks that are named on the command line; without any, list them."""
    os.environ.setdefault(VARIABLE, str(find_root(Path.cwd())))
    os.environ[COMMAND_VARIABLE] = _NAME
    arguments = sys.argv[1:] or ["--list"]
    program = Program(name="Tidegate", binary=_NAME, version=version(_NAME))
    program.run([_NAME, "--search-root", str(PROGRAM), *arguments])


def find_root(folder: Path) -> Path:
    """Return the folder with stack.yaml that is nearest above, or Tidegate's own."""
    return next((one for one in (folder, *folder.parents) if (one / FILE).is_file()), PROGRAM)
