"""A task of Docker Swarm, read as a container, of whatever machine it runs on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from stack.docker.container import Container, describe_by_labels
from stack.plan.stack import DEFINITION_LABEL
from stack.plan.swarm import FOLDER_LABEL, IMAGE_LABEL

SWARM_SERVICE_LABEL = "com.docker.swarm.service.name"
RUNNING = "running"
_STARTING = ("starting",)
_FAILED, _REJECTED = "failed", "rejected"
# What Swarm keeps of a slot that has another task by now.
_PAST = ("shutdown", "remove", "orphaned")
# A machine that has just come back may refuse a task once or twice.
_MOST_REJECTED = 3

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Swarm:
    """What the manager tells of a stack: its services and machines by id, and this machine's own id."""

    project: str
    services: Mapping[str, Document]
    nodes: Mapping[str, Document]
    here: str

    def name_service(self, task: Document) -> str:
        """Return the name of a task's service within its stack; nothing if the service is gone."""
        service = self.services.get(task["ServiceID"])
        return service["Spec"]["Name"].removeprefix(f"{self.project}_") if service else ""

    def name_node(self, task: Document) -> str:
        """Return the machine of a task; nothing where it has none."""
        node = self.nodes.get(task.get("NodeID", ""))
        return str(node["Description"]["Hostname"]) if node else ""

    def find_address(self, task: Document) -> str:
        """Return where the ports of a task's machine are published, as this machine sees it."""
        node = self.nodes.get(task.get("NodeID", ""), {})
        return "0.0.0.0" if task.get("NodeID") == self.here else str(node.get("Status", {}).get("Addr", ""))


def read_tasks(tasks: Iterable[Document], swarm: Swarm) -> Iterator[Container]:
    """Yield a container for each place of a service, as its newest task is; also for one that Swarm is starting."""
    for _, found in groupby(sorted(tasks, key=_find_place), _find_place):
        own = sorted(found, key=lambda one: str(one["CreatedAt"]))
        if not swarm.name_service(own[-1]):
            continue
        past = [one for one in own if is_past(one)]
        for task in own:
            if not is_past(task):
                yield _read_task(_find_failure(task, past) or task, task, swarm=swarm)


def is_past(task: Document) -> bool:
    """Return whether a task is one that is to run no more."""
    return task["DesiredState"] in _PAST


def _find_place(task: Document) -> tuple[str, str, str]:
    """Return what tells one place of a service from another: its number, or its machine where each has one."""
    return task["ServiceID"], f"{task.get('Slot', 0):04}", "" if task.get("Slot") else str(task.get("NodeID", ""))


def _find_failure(task: Document, past: Iterable[Document]) -> Document | None:
    """Return the task in whose place another is started again and again, of the same definition; nothing if none is."""
    if task["Status"]["State"] == RUNNING:
        return None
    wanted = read_labels(task).get(DEFINITION_LABEL)
    return find_failure(one for one in past if read_labels(one).get(DEFINITION_LABEL) == wanted)


def find_failure(tasks: Iterable[Document]) -> Document | None:
    """Return the last task that has failed, or that machines refused several times."""
    ended = [one for one in tasks if one["Status"]["State"] in (_FAILED, _REJECTED)]
    failed = [one for one in ended if one["Status"]["State"] == _FAILED]
    return failed[-1] if failed else ended[-1] if len(ended) >= _MOST_REJECTED else None


def read_labels(task: Document) -> Mapping[str, str]:
    """Return the labels of a task's container."""
    return task["Spec"].get("ContainerSpec", {}).get("Labels") or {}


def _read_task(shown: Document, task: Document, *, swarm: Swarm) -> Container:
    """Read one task; the one that is shown may be that before it, which has failed."""
    labels, status = read_labels(task), shown["Status"]
    addresses = tuple(sorted(_read_addresses(task)))
    node = swarm.name_node(shown)
    return Container(
        id=(status.get("ContainerStatus") or {}).get("ContainerID") or str(shown["ID"]),
        name=f"{swarm.project}_{swarm.name_service(task)}.{task.get('Slot') or node}",
        image=labels.get(IMAGE_LABEL, ""),
        state="restarting" if shown is not task else _tell_state(status["State"]),
        status=_tell_status(status, node),
        ports=", ".join(_write_ports(task, swarm.find_address(task))),
        service=swarm.name_service(task),
        **describe_by_labels(labels),
        folder=labels.get(FOLDER_LABEL, ""),
        network_address=next((address for _, address in addresses), ""),
        network_addresses=addresses,
        task=str(shown["ID"]),
        node="" if shown.get("NodeID") == swarm.here else node,
    )


def _tell_state(state: str) -> str:
    """Return Docker's word for what Swarm calls by a finer one: a container that is not healthy yet runs."""
    return RUNNING if state in _STARTING else state


def _tell_status(status: Document, node: str) -> str:
    where = f" on {node}" if node else ""
    if status["State"] == RUNNING:
        return f"Up{where} (healthy)"
    if status["State"] in _STARTING:
        return f"Up{where} (health: starting)"
    return f"{status['State']}{where}: {status.get('Err') or status.get('Message', '')}"


def _read_addresses(task: Document) -> Iterator[tuple[str, str]]:
    for one in task.get("NetworksAttachments") or ():
        addresses = one.get("Addresses") or ()
        if addresses:
            yield one["Network"]["Spec"]["Name"], addresses[0].partition("/")[0]


def _write_ports(task: Document, address: str) -> Iterator[str]:
    for one in (task["Status"].get("PortStatus") or {}).get("Ports") or ():
        yield f"{address}:{one['PublishedPort']}->{one['TargetPort']}/{one['Protocol']}"
