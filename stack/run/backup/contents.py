"""What belongs into a backup: the files of a workspace, its secrets, and the images of its functions."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

from stack import console
from stack.config.settings import FILE
from stack.config.source import FOLDER
from stack.plan.backup import KEPT_STATE, STATE, WORKSPACE
from stack.run.backup.archive import ArchiveWriter
from stack.run.deploy.deployment import load_deployments, load_revisions
from stack.run.stack import Stack
from stack.run.workspace import Workspace

# Copies of secrets, which `up` makes again; caches of Python.
_LEFT_OUT = frozenset({"mounted", "__pycache__"})


def list_images(stack: Stack) -> tuple[str, ...]:
    """Return the images of all revisions of all functions."""
    found = [one.image for name in load_deployments(stack.workspace) for one in load_revisions(stack.workspace, name)]
    return tuple(dict.fromkeys(found))


def write_workspace(workspace: Workspace, archive: ArchiveWriter) -> None:
    """Add stack.yaml, the functions, and what .stack/state knows of them."""
    if (workspace.root / FILE).is_file():
        archive.add_file(WORKSPACE + FILE, workspace.root / FILE)
    for path in list_backup_files(workspace.root / FOLDER):
        archive.add_file(WORKSPACE + path.relative_to(workspace.root).as_posix(), path)
    for name in KEPT_STATE:
        for path in list_backup_files(workspace.state / name):
            archive.add_file(STATE + path.relative_to(workspace.state).as_posix(), path)


def list_backup_files(folder: Path) -> Iterator[Path]:
    """Yield the files and links of a folder; a link that leads out of it is left out, and warned of."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not Path(parent, name).is_symlink())
        links = [path for path in Path(parent).iterdir() if path.is_symlink()]
        for path in sorted({*(Path(parent, name) for name in files), *links}):
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                console.warn(f"{path} leads out of {folder}, and is not in the backup.")
            elif path.is_symlink() or path.is_file():
                yield path


def list_secrets(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Yield each file of .stack/secrets: its path below it, and its content in base64."""
    for path in list_backup_files(workspace.secrets):
        if not path.is_symlink():
            content = base64.b64encode(path.read_bytes()).decode()
            yield path.relative_to(workspace.secrets).as_posix(), content
