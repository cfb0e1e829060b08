"""Which cluster of RabbitMQ's nodes it is: the data of an earlier one stays on machines that no task reaches."""

import secrets

from stack.state.workspace import Workspace, try_read_word, write_file

_FILE = "broker-cluster"


def load_cluster(workspace: Workspace) -> str:
    """Return what the volumes of all nodes but the first have in their names; nothing for the first cluster."""
    return try_read_word(workspace.state / _FILE)


def begin_cluster(workspace: Workspace) -> None:
    """Have the next nodes begin with volumes of their own: those of before belong to data that is gone."""
    write_file(workspace.state / _FILE, f"{secrets.token_hex(4)}\n".encode())
