"""`invoke backup --verify`: a backup is restored into a project of its own, whose broker is started, and compared.

Functions are not started there: they would handle the copies of messages as if they were real.
"""

import socket
import tempfile
import time
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from uuid import uuid4

from stack import console
from stack.config.network import Ports, Tls
from stack.config.settings import Settings
from stack.docker.readiness import wait_ready
from stack.docker.stack import Stack
from stack.docker.swarm.driver import open_driver
from stack.errors import BrokerError, StackError
from stack.plan.backup import STATE, WORKSPACE, compare_definitions, compare_queues
from stack.plan.broker import SERVICE
from stack.plan.gateway import SERVICE as GATEWAY
from stack.rabbitmq.management import Broker, find_broker
from stack.run.backup.archive import Backup, digest_link, digest_of, read_backup
from stack.run.backup.broker import count_waiting
from stack.run.backup.restore import RestoreRequest, restore_backup
from stack.run.stack import write_stack
from stack.state.lock import stack_lock
from stack.state.workspace import Workspace

_BROKER_SECONDS, _FIGURES_SECONDS, _PAUSE_SECONDS = 180, 30.0, 0.5
_MOST_LINES = 20


def verify_backup(path: Path, word: str) -> None:
    """Restore a backup into a throwaway project and compare files, secrets, definitions and queues with it.

    Raises:
        StackError: something is not as it was; the backup stays, to be looked at.
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-trial-") as name:
        backup = read_backup(path, word)
        stack = restore_backup(Workspace(Path(name)), backup, request=RestoreRequest(adapt=_adapt))
        try:
            lines = [*_compare_files(stack.workspace, backup), *_compare_broker(stack, backup)]
        finally:
            with console.working("Removing the trial"):
                open_driver(stack.engine).down(volumes=True)
    if lines:
        shown = "\n".join(f"  {line}" for line in lines[:_MOST_LINES])
        raise StackError(f"{path} was written, and does not restore as it should:\n{shown}")


def _adapt(settings: Settings) -> Settings:
    """Return settings by which the trial meets nothing else on this machine, and no other machine meets it."""
    names = tuple(Ports.model_fields)
    ports = Ports(**dict(zip(names, _find_free_ports(len(names)), strict=True)))
    project = f"tidegate-trial-{uuid4().hex[:8]}"
    # Over a bridge the trial would send the messages of the backup once more; of a Swarm one machine is enough for it.
    # Its gateway is asked without TLS, whose files are not in the backup, or elsewhere.
    alone = {"bind": IPv4Address("127.0.0.1"), "bridge": (), "engine": "compose", "tls": Tls()}
    alone["broker"] = settings.broker.model_copy(update={"nodes": 1})
    return settings.model_copy(update={"project": project, "ports": ports, **alone})


def _find_free_ports(count: int) -> list[int]:
    with ExitStack() as exits:
        servers = [exits.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in servers]


def _compare_files(workspace: Workspace, backup: Backup) -> list[str]:
    places = {WORKSPACE: workspace.root, STATE: workspace.state}
    lines = []
    for name, digest in backup.manifest.members.items():
        top, _, relative = name.partition("/")
        root = places.get(f"{top}/")
        if root is None:
            continue
        found = _digest(root / relative)
        if found != digest:
            lines.append(f"{relative} {'differs' if found else 'is missing'}")
    return lines


def _digest(path: Path) -> str:
    if path.is_symlink():
        return digest_link(str(path.readlink()))
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return digest_of(file)


def _compare_broker(stack: Stack, backup: Backup) -> list[str]:
    facts = backup.manifest.broker
    if facts is None:
        return []
    with stack_lock(stack.workspace):
        write_stack(stack, stack.inputs)
        with console.working("Starting RabbitMQ on trial"):
            # The gateway leads to the broker's management.
            open_driver(stack.engine).up([SERVICE, GATEWAY])
            wait_ready(stack.engine, [SERVICE, GATEWAY], seconds=_BROKER_SECONDS)
    broker = find_broker(stack)
    deadline = time.monotonic() + _FIGURES_SECONDS
    while (lines := _compare_queues(broker, backup)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return [*lines, *compare_definitions(backup.sealed.definitions, broker.export_definitions())]


def _compare_queues(broker: Broker, backup: Backup) -> tuple[str, ...]:
    wanted = backup.manifest.broker.queues if backup.manifest.broker else {}
    try:
        return compare_queues(wanted, count_waiting(broker, wanted))
    except BrokerError as error:
        return (str(error),)
