"""Making a new function's folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

from stack import console
from stack.config.function import check_name
from stack.config.source import FOLDER
from stack.errors import FunctionError
from stack.plan.scaffold import TRIGGERS, next_steps, plan_scaffold
from stack.run.catalogue.namesake import check_namesakes
from stack.run.workspace import open_workspace, write_file


def new_function(name: str, trigger: str) -> None:
    """Write functions/NAME/ with a handler, its configuration and its test, and say what to type next.

    Raises:
        FunctionError: the name or the trigger is none, or the folder exists.
        ConflictError: another function has the name but for capital letters.
    """
    if trigger not in TRIGGERS:
        raise FunctionError(f"--trigger {trigger}: should be one of {', '.join(TRIGGERS)}.")
    try:
        check_name(name)
    except ValueError as error:
        raise FunctionError(f"A function's name {error}.") from error
    folder = open_workspace().root / FOLDER / name
    if folder.exists() or folder.is_symlink():
        raise FunctionError(f"{folder} is there already; choose another name, or edit what is in it.")
    check_namesakes(open_workspace(), name)
    files = plan_scaffold(name, trigger)
    for file, content in files.items():
        write_file(folder / file, content)
    console.success(f"{FOLDER}/{name}: {', '.join(files)}")
    test = f"{_shorten(Path(sys.executable))} -m pytest {_shorten(folder)}"
    _tell(next_steps(name, trigger, test))


def _tell(steps: Sequence[tuple[str, str]]) -> None:
    width = max(len(command) for command, _ in steps)
    console.say("Next:")
    for command, meaning in steps:
        console.say(f"  {command:<{width}}  {meaning}")


def _shorten(path: Path) -> Path:
    """Return a path as it can be typed here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
