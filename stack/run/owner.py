"""Whose a project is: two workspaces of one name would take each other's containers for their own."""

from collections.abc import Sequence
from pathlib import Path

from stack.config.settings import FILE
from stack.errors import HostError
from stack.plan.render import COMPOSE
from stack.run.docker.container import Container
from stack.run.workspace import Workspace


def check_owner(workspace: Workspace, project: str, containers: Sequence[Container]) -> None:
    """Make sure that a project's containers are of this workspace, or of one that is gone, such as by another name.

    Raises:
        HostError: they are another's.
    """
    own = workspace.rendered.resolve()
    others = {Path(one.folder).resolve() for one in containers if one.folder} - {own}
    for folder in sorted(others):
        if (folder / COMPOSE).is_file():
            raise HostError(
                f"The project {project} runs from {folder.parent}. Choose another `project`, and other "
                f"ports, in {workspace.root / FILE}; or type `invoke down` there first."
            )
