"""Docker Swarm, for one stack: what runs, on whatever machine, as the manager tells of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError

from stack.config.settings import Settings
from stack.docker.client import docker_api, execute, explained, fetch_task_log
from stack.docker.container import PROJECT_LABEL, Container
from stack.docker.engine import Engine
from stack.docker.node import STACK_LABEL, await_leader
from stack.docker.swarm.task import Document, Swarm, read_tasks
from stack.errors import EngineError, HostError
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.provision import GATEWAY_BRIDGE
from stack.plan.registry import find_prefix
from stack.plan.render import name_stack_file
from stack.plan.swarm import SWARM
from stack.state.workspace import Workspace

_READY_PORT, _READY_PATH = 8082, "/ready"
# A page of a container, asked from the network that it is on.
_ASK = """exec 3<>/dev/tcp/$0/$1 && printf 'GET %s HTTP/1.0\\r\\n\\r\\n' "$2" >&3 && timeout 2 cat <&3"""


@dataclass(frozen=True)
class SwarmEngine(Engine):
    """Docker Swarm, for one stack."""

    registry: str = ""
    """Where its machines have images from."""

    @property
    def is_swarm(self) -> bool:
        """Return that Swarm updates services itself."""
        return True

    def containers(self) -> tuple[Container, ...]:
        """List the tasks of the stack: Swarm takes one for running only when its health check is well."""
        return self.listed()

    def listed(self) -> tuple[Container, ...]:
        """List the tasks of the stack, one for each place of a service."""
        swarm = self.fetch_swarm()
        return tuple(read_tasks(self.fetch_tasks(), swarm))

    def fetch_swarm(self) -> Swarm:
        """Return the services and machines, as the manager has them.

        Raises:
            EngineError: this machine is no manager.
        """
        with explained():
            services = await_leader(lambda: docker_api().services(filters=self._own))
            nodes, here = await_leader(docker_api().nodes), docker_api().info()["Swarm"]["NodeID"]
        return Swarm(self.project, {one["ID"]: one for one in services}, {one["ID"]: one for one in nodes}, here)

    def fetch_tasks(self) -> list[Document]:
        """Return all tasks of the stack that the manager still knows."""
        with explained():
            tasks: list[dict[str, Any]] = await_leader(lambda: docker_api().tasks(filters=self._own))
        return list(tasks)

    @property
    def _own(self) -> dict[str, str]:
        return {"label": f"{STACK_LABEL}={self.project}"}

    def address(self, container: Container, network: str) -> str:
        """Return where this machine reaches one of its own containers: not on their networks, which span machines.

        Docker leads each out by a bridge of the machine.
        """
        with explained():
            ends = docker_api().inspect_network(GATEWAY_BRIDGE)["Containers"]
        return str(ends.get(container.id, {}).get("IPv4Address", "")).partition("/")[0]

    def read_log(self, container: Container, *, tail: int, timestamps: bool = False) -> bytes:
        """Return the last lines of a task, on whatever machine; nothing if it is gone."""
        return fetch_task_log(container.task, tail=tail, timestamps=timestamps)

    def last_probes(self, containers: Sequence[Container]) -> dict[str, str]:
        """Return why containers are not ready, as they say themselves, by the container's id."""
        asker = next((one for one in self.listed() if one.service == GATEWAY and one.is_ready and not one.node), None)
        if asker is None:
            return {}
        return {one.id: page for one in containers if (page := _ask(asker, one.network_address))}


def _ask(asker: Container, address: str) -> str:
    """Have a container of this machine ask another whether it is ready; nothing if no one answers."""
    with suppress(EngineError):
        answer = execute(asker.id, "bash", "-c", _ASK, address, str(_READY_PORT), _READY_PATH)
        return answer.partition("\r\n\r\n")[2]
    return ""


def check_other_engine(engine: Engine) -> None:
    """Make sure that the project does not run by the other engine than the one that stack.yaml has.

    Raises:
        HostError: it does.
    """
    if problem := find_other_engine(engine):
        raise HostError(problem)


def find_other_engine(engine: Engine) -> str:
    """Return that the project runs by the other engine, and what to type; nothing where it does not."""
    if engine.is_swarm and _runs_by_compose(engine):
        found, name, wanted, where = "Docker Compose", "compose", "swarm", ""
    elif not engine.is_swarm and _runs_by_swarm(engine):
        found, name, wanted, where = "Docker Swarm", "swarm", "compose", " on this machine"
    else:
        return ""
    return (
        f"{engine.project} runs by {found}. Write `engine: {name}`, type `invoke down`, and then `invoke up` with "
        f"`engine: {wanted}`; the broker's data and functions' volumes{where} stay."
    )


def _runs_by_compose(engine: Engine) -> bool:
    with explained():
        return bool(docker_api().containers(filters={"label": f"{PROJECT_LABEL}={engine.project}"}))


def _runs_by_swarm(engine: Engine) -> bool:
    if not engine.compose_file.with_name(SWARM).is_file():
        return False
    with suppress(APIError):
        return bool(docker_api().services(filters={"label": f"{STACK_LABEL}={engine.project}"}))
    return False


def open_engine(workspace: Workspace, settings: Settings) -> Engine:
    """Return what runs the containers of a workspace: Compose, or Swarm."""
    file = workspace.rendered / name_stack_file(settings)
    if settings.is_swarm:
        return SwarmEngine(settings.project, file, registry=find_prefix(settings))
    return Engine(settings.project, file)
