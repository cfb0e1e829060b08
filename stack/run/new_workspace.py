"""`invoke new-workspace`: a folder of one's own, with stack.yaml and functions, apart from Tidegate's."""

import re
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote

from stack import console
from stack.config.settings import FILE, load_settings
from stack.config.source import FOLDER
from stack.docker.volume import list_volumes
from stack.errors import ConflictError, StackError
from stack.plan.template import fill
from stack.state.workspace import PROGRAM, make_folder, write_file

# The file that git reads must not be one while it is a template.
_FILES = {FILE: FILE, "README.md": "README.md", ".gitignore": "gitignore"}
_FALLBACK = "tidegate"


def new_workspace(folder: str) -> None:
    """Write a workspace into a folder, which may be there already, and say what to type next.

    Raises:
        ConflictError: one of its files is there.
        HostError: the folder cannot be written to.
    """
    root = Path(folder).expanduser().absolute()
    if there := [name for name in _FILES if (root / name).exists()]:
        raise ConflictError(f"{root} has {', '.join(there)} already; choose another folder.")
    command = Path(sys.executable).with_name("tidegate")
    context = {"project": choose_project(root.name), "program": PROGRAM, "command": quote(str(command))}
    make_folder(root / FOLDER)
    for name, template in _FILES.items():
        write_file(root / name, fill(f"new-workspace/{template}", context))
    console.success(f"{root} is a workspace, with the project {context['project']}.")
    console.say(
        f"Next: `ln -sf {context['command']} /usr/local/bin/`, with sudo where you are not root, makes tidegate a "
        f"command; then in {root} `tidegate up` starts its stack. Where another stack of yours runs, give it other "
        "`ports` in stack.yaml."
    )


def choose_project(folder: str) -> str:
    """Return a name that neither Tidegate's own stack has nor one whose data is here: they would share their data."""
    name = name_project(folder)
    names = (name, *(f"{name}-{number}" for number in range(2, 100)))
    return next((one for one in names if not _is_taken(one)), name)


def _is_taken(project: str) -> bool:
    # Without Docker, or before it is installed, there is no data.
    with suppress(StackError):
        return project == load_settings(PROGRAM).project or bool(list_volumes(project))
    return False


def name_project(folder: str) -> str:
    """Return a name for a Compose project, which has small letters, digits, - and _, and begins with no sign."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.lower()).strip("-_") or _FALLBACK
