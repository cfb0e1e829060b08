"""Namesakes: functions whose names differ in case only, which would share an image's name and an address."""

from stack.config.source import FOLDER, function_folders
from stack.errors import ConflictError
from stack.run.deploy.deployment import list_deployed
from stack.run.workspace import Workspace


def check_namesakes(workspace: Workspace, *names: str) -> None:
    """Make sure that no two functions have these names but for capital letters.

    Raises:
        ConflictError: another function has one of them, or two of them are the same.
    """
    known = sorted({*function_folders(workspace.root), *list_deployed(workspace), *names})
    for name in names:
        for other in known:
            if other != name and other.lower() == name.lower():
                raise ConflictError(
                    f"{name} and {other} differ in capital letters only, and would share an image and an address: "
                    f"choose another name for {FOLDER}/{name} or {FOLDER}/{other}."
                )
