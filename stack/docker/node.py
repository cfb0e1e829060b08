"""The machines of a Swarm, as a manager tells of them: labels, availability, and what runs on each."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from docker.errors import APIError
from python_on_whales.exceptions import DockerException

from stack.docker.client import docker_api, explained
from stack.docker.driver import docker_cli
from stack.docker.driver import explained as explained_driver
from stack.errors import EngineError, HostError

Answer = TypeVar("Answer")
STACK_LABEL = "com.docker.stack.namespace"
MANAGER_PORT = 2377

_NO_SWARM = (
    "This machine is in no Swarm. On the first of the machines type `docker swarm init --advertise-addr ADDRESS "
    "--dispatcher-heartbeat 3s`, ADDRESS being where the others find it; then `invoke join` there tells what to type "
    "on the others."
)
_WORKER = (
    "This machine is a worker of a Swarm, and only a manager can tell or change anything. Type this on {managers}."
)
_LOCKED = "This machine's part of the Swarm is locked. `docker swarm unlock` asks for its key."
_HEADLESS = (
    "More than half of the Swarm's managers are away, so nothing can be changed; what runs goes on. Bring one back: "
    "it takes half a minute then. Where they are lost for ever, `docker swarm init --force-new-cluster` here goes on "
    "without them."
)
# How long managers take to choose who leads, and no longer where a majority is there.
_ELECTION_SECONDS = 40.0
# What a manager says that has no majority with it.
_NO_LEADER = re.compile(r"does not have a leader|DeadlineExceeded|deadline exceeded|lost leader status")
_CONSTRAINT = re.compile(r"\s*node\.(id|hostname|role|labels\.[^=!\s]+)\s*(==|!=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Node:
    """A machine of a Swarm; `reachability` is empty for a worker."""

    id: str
    name: str
    role: str
    availability: str
    """active, pause or drain."""
    state: str
    """ready or down."""
    address: str
    labels: Mapping[str, str]
    is_leader: bool = False
    reachability: str = ""
    services: tuple[str, ...] = ()
    """What runs there, by service, with a number where there are several."""

    @property
    def is_manager(self) -> bool:
        """Return whether it is one of those that keep what the Swarm is to do."""
        return self.role == "manager"

    @property
    def is_reachable(self) -> bool:
        """Return whether it is there, as the others see it."""
        return self.reachability == "reachable" if self.is_manager else self.state == "ready"


@dataclass(frozen=True)
class Membership:
    """What an engine is in a Swarm: its own node's id and address, where it is a manager."""

    node: str
    address: str


def require_manager() -> Membership:
    """Return what this engine's node is.

    Raises:
        HostError: it is in no Swarm, or no manager of it.
    """
    with explained():
        swarm = docker_api().info()["Swarm"]
    state = swarm["LocalNodeState"]
    if state == "locked":
        raise HostError(_LOCKED)
    if state in ("inactive", "error"):
        raise HostError(_NO_SWARM)
    if not swarm["ControlAvailable"]:
        managers = [one["Addr"].rpartition(":")[0] for one in swarm.get("RemoteManagers") or ()]
        raise HostError(_WORKER.format(managers=" or ".join(sorted(managers)) or "a manager"))
    return Membership(swarm["NodeID"], swarm["NodeAddr"])


def fetch_nodes(project: str = "") -> tuple[Node, ...]:
    """Return every node of the Swarm by name, with what runs there, of one project or of all.

    Raises:
        HostError: this is no manager, or most managers are away.
    """
    require_manager()
    filters = {"label": f"{STACK_LABEL}={project}"} if project else {}
    try:
        with explained():
            nodes = _ask(docker_api().nodes)
            names = {one["ID"]: one["Spec"]["Name"] for one in _ask(docker_api().services, filters=filters)}
            tasks = _ask(docker_api().tasks, filters={"desired-state": "running"})
    except _HeadlessError as error:
        raise HostError(_HEADLESS) from error
    running = [
        (one.get("NodeID", ""), names[one["ServiceID"]].removeprefix(f"{project}_"))
        for one in tasks
        if one["ServiceID"] in names and one["Status"]["State"] == "running"
    ]
    found = [_read_node(one, [name for node, name in running if node == one["ID"]]) for one in nodes]
    return tuple(sorted(found, key=lambda node: (node.name, node.id)))


class _HeadlessError(Exception):
    """No manager leads."""


def _ask(question: Any, **arguments: Any) -> Sequence[dict[str, Any]]:
    try:
        answer: Sequence[dict[str, Any]] = await_leader(lambda: question(**arguments))
    except APIError as error:
        if _is_leaderless(error):
            raise _HeadlessError from error
        raise
    return answer


def await_leader(ask: Callable[[], Answer]) -> Answer:
    """Ask, and again while the managers choose who leads: they do when one of them is lost, and when it is back.

    Raises:
        Exception: what `ask` raised last.
    """
    deadline = time.monotonic() + _ELECTION_SECONDS
    while True:
        try:
            return ask()
        except (APIError, DockerException, EngineError) as error:
            if not _is_leaderless(error) or time.monotonic() > deadline:
                raise
        time.sleep(1)


def _is_leaderless(error: Exception) -> bool:
    told = getattr(error, "explanation", None) or getattr(error, "stderr", None) or str(error)
    return bool(_NO_LEADER.search(told))


def _read_node(document: Mapping[str, Any], services: Sequence[str]) -> Node:
    spec, manager = document["Spec"], document.get("ManagerStatus") or {}
    # What a manager says of its own address is 0.0.0.0 in some releases.
    own = manager.get("Addr", "").rpartition(":")[0]
    return Node(
        document["ID"],
        document["Description"]["Hostname"],
        spec["Role"],
        spec["Availability"],
        document["Status"]["State"],
        own or document["Status"].get("Addr", ""),
        dict(spec.get("Labels") or {}),
        is_leader=bool(manager.get("Leader")),
        reachability=manager.get("Reachability", ""),
        services=_count(services),
    )


def _count(names: Iterable[str]) -> tuple[str, ...]:
    listed = list(names)
    numbers = {name: listed.count(name) for name in sorted(listed)}
    return tuple(name if number == 1 else f"{name} ({number})" for name, number in numbers.items())


def find_node(nodes: Sequence[Node], name: str) -> Node:
    """Return the node of a name, or of the beginning of an id.

    Raises:
        HostError: there is none, or there are several.
    """
    found = [one for one in nodes if one.name == name] or [one for one in nodes if one.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(f"{one.id[:12]} ({one.state})" for one in found)
        raise HostError(f"Several nodes are called {name}. Name one by its id: {ids}.")
    raise HostError(f"There is no node {name}. There are {', '.join(one.name for one in nodes)}.")


def find_kept(node: Node, nodes: Sequence[Node]) -> list[str]:
    """Return the services, of all stacks, that may run on this node alone, such as where their volume is.

    Raises:
        HostError: this is no manager, or most managers are away.
    """
    try:
        with explained():
            services = _ask(docker_api().services)
    except _HeadlessError as error:
        raise HostError(_HEADLESS) from error
    allowed = {one["Spec"]["Name"]: _find_allowed(one, nodes) for one in services}
    return sorted(name for name, places in allowed.items() if places == [node.id])


def _find_allowed(service: Mapping[str, Any], nodes: Sequence[Node]) -> list[str]:
    placement = service["Spec"]["TaskTemplate"].get("Placement") or {}
    constraints = placement.get("Constraints") or []
    return [one.id for one in nodes if constraints and all(_fits(one, text) for text in constraints)]


def _fits(node: Node, constraint: str) -> bool:
    """Return whether a node is as a constraint says; what is not understood counts as such."""
    match = _CONSTRAINT.fullmatch(constraint)
    if match is None:
        return True
    key, operator, wanted = match.groups()
    own = {"id": node.id, "hostname": node.name, "role": node.role}
    value = own[key] if key in own else node.labels.get(key.removeprefix("labels."), "")
    return (value == wanted) == (operator == "==")


def update_node(node: Node, *, availability: str = "", labels: Mapping[str, str] | None = None, role: str = "") -> None:
    """Change a node: how much it is to do, its labels (an empty value takes one away), or whether it is a manager.

    Raises:
        EngineError: the Swarm refuses.
    """
    given = labels or {}
    with explained_driver():
        docker_cli.node.update(
            node.id,
            availability=availability or None,
            labels_add={key: value for key, value in given.items() if value},
            rm_labels=[key for key, value in given.items() if not value and key in node.labels],
            role=role or None,
        )


def remove_node(node: Node) -> None:
    """Take a node off the Swarm's list; its engine is not told.

    Raises:
        EngineError: the Swarm refuses.
    """
    with explained_driver():
        docker_cli.node.remove(node.id, force=True)


def fetch_join_token(role: str) -> str:
    """Return what lets another machine in as a manager or as a worker: a secret.

    Raises:
        EngineError: the Swarm refuses.
    """
    with explained_driver():
        return docker_cli.swarm.join_token(role)
