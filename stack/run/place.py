"""Where this program runs: on the machine, or in a container of the stack; and as whom."""

import os
from pathlib import Path

from stack.run.workspace import Workspace

# Set in the containers of Tidegate's own programs.
VARIABLE = "TIDEGATE_PLACE"
STACK = "stack"
# The names of the machine, separated by blanks, for those containers.
NAMES_VARIABLE = "TIDEGATE_HOSTS"

_SOCKET = Path("/var/run/docker.sock")


def is_inside() -> bool:
    """Say whether this program runs in a container of the stack, where services are reached by their names."""
    return os.environ.get(VARIABLE) == STACK


def become_owner(workspace: Workspace) -> None:
    """Become the user whose workspace it is, who may use Docker's socket besides; only root can, others stay."""
    if os.getuid() or not _SOCKET.exists():
        return
    owner = workspace.rendered.stat()
    os.setgroups([_SOCKET.stat().st_gid])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
