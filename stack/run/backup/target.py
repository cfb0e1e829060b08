"""Where a backup is restored: whether there is room for it, and what has to make way."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from stack.errors import ConflictError, StackError
from stack.plan.backup import STATE, WORKSPACE
from stack.plan.render import rabbitmq_image
from stack.plan.version import explain_step
from stack.run.backup.broker import read_version
from stack.run.backup.reader import Backup
from stack.run.deploy.deployment import list_deployed
from stack.run.docker.volume import list_volumes
from stack.run.stack import Stack
from stack.run.workspace import Workspace, make_folder

_PRIVATE_FOLDER = 0o700
_MOST_SHOWN = 5
# Below .stack/, where what a restore replaces is kept.
_REPLACED = "replaced"


def check_target(stack: Stack, fresh: Path, *, force: bool) -> None:
    """Make sure that nothing is lost here; `fresh` has the unpacked files.

    Raises:
        ConflictError: a stack of the name is on this machine, or the workspace has other content.
    """
    project, workspace = stack.settings.project, stack.workspace
    volumes = [one.name for one in list_volumes(project)]
    if there := [*(one.name for one in stack.engine.listed()), *volumes]:
        raise ConflictError(
            f"The project {project} is on this machine: {_name_some(there)}. Make a backup of it, if it is of use, and "
            "type `invoke down --volumes --yes` there; then this again. Or write another `project` and other `ports` "
            "into a stack.yaml in an empty folder, which TIDEGATE_WORKSPACE names, and add --keep-settings."
        )
    deployed = [f"the deployment of {name}" for name in list_deployed(workspace)]
    replaced = [*deployed, *find_differing(fresh / WORKSPACE, workspace.root)]
    if replaced and not force:
        raise ConflictError(
            f"{workspace.root} has other content: {_name_some(replaced)}. Restore into an empty folder, which "
            f"TIDEGATE_WORKSPACE names; or add --force, which keeps what it replaces in .stack/{_REPLACED}."
        )


def check_broker(stack: Stack, backup: Backup) -> None:
    """Make sure that the RabbitMQ here reads the backup's data, if its image is here already.

    Raises:
        StackError: it does not.
    """
    facts, image = backup.manifest.broker, rabbitmq_image(stack.bare_inputs)
    if facts is None or not stack.engine.has_image(image):
        return
    if problem := explain_step(facts.version, read_version(image)):
        raise StackError(f"The backup's messages are those of RabbitMQ {facts.version}. {problem}")


def find_differing(fresh: Path, root: Path) -> Iterator[str]:
    """Yield the paths of files that are here with another content."""
    for path in sorted(one for one in fresh.rglob("*") if one.is_file()):
        there = root / path.relative_to(fresh)
        if there.is_file() and there.read_bytes() != path.read_bytes():
            yield path.relative_to(fresh).as_posix()


def put_away(workspace: Workspace, fresh: Path) -> None:
    """Keep what is about to be replaced, out of its way."""
    kept = workspace.rendered / _REPLACED / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for relative in find_differing(fresh / WORKSPACE, workspace.root):
        make_folder((kept / relative).parent, _PRIVATE_FOLDER)
        shutil.move(workspace.root / relative, kept / relative)
    names = ("functions", "copies", "candidates", *(one.name for one in (fresh / STATE).glob("*")))
    for folder in (*(workspace.state / name for name in dict.fromkeys(names)), workspace.secrets):
        if folder.is_dir():
            make_folder(kept / ".stack", _PRIVATE_FOLDER)
            shutil.move(folder, kept / ".stack" / folder.name)


def _name_some(names: list[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
