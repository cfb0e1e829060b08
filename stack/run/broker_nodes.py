"""The nodes of a broker on the machines of a Swarm: where each is, and in which order they start."""

import json
from collections.abc import Collection, Iterator, Sequence
from time import monotonic, sleep

from stack import console
from stack.docker.container import Container
from stack.docker.driver import docker_cli, explained
from stack.docker.node import Node, fetch_nodes
from stack.docker.stack import Stack
from stack.docker.swarm.driver import open_driver
from stack.errors import BrokerError, HostError
from stack.plan.broker import SERVICE, is_node, list_nodes
from stack.plan.gateway import CONFIGURATION
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.swarm import NODE_LABEL, WORKSPACE_LABEL
from stack.rabbitmq.drift import fetch_copies
from stack.rabbitmq.management import Broker, find_broker
from stack.rabbitmq.repair import mend_stack_broker

# How long nodes may take to be one broker: slow SD cards, large volumes; and seconds between two looks.
_SECONDS, _LOOK = 300.0, 0.5
_ACTIVE, _READY = "active", "ready"
# By these Tidegate's own programs ask the broker.
_GATEWAYS = (CONFIGURATION, GATEWAY)


def start_nodes(stack: Stack, changing: Sequence[str], containers: Collection[Container]) -> list[str]:
    """Start those of some services that are nodes of a broker of several, and return the others.

    Nodes that run are replaced one after the other, each once the one before has all that it is to have; new ones come
    at once. What the others log in with is made before they start.

    Raises:
        StackError: there are too few machines, or the nodes do not become one broker.
    """
    mine = [one for one in changing if is_node(one)]
    if stack.settings.broker.nodes == 1 or not mine:
        return list(changing)
    placed = _place_nodes(stack)
    running = {one.service for one in containers if is_node(one.service) and one.is_running}
    driver, broker = open_driver(stack.engine), find_broker(stack)
    _forget_lost(stack, placed, containers=containers)
    for name in (one for one in mine if one in running):
        driver.up([name])
        _await_nodes(broker, len(running))
    early = [one for one in changing if (one in mine and one not in running) or one in _GATEWAYS]
    driver.up(early)
    _await_nodes(broker, stack.settings.broker.nodes)
    mend_stack_broker(stack.reread())
    return [one for one in changing if one not in mine and one not in early]


def _place_nodes(stack: Stack) -> list[str]:
    """Label a machine for each node but the first, which is where the workspace is; return those that had none."""
    project, names = stack.settings.project, list_nodes(stack.settings)
    placed = list(choose_machines(fetch_nodes(), project, count=stack.settings.broker.nodes))
    for number, machine in placed:
        with explained():
            docker_cli.node.update(machine.id, labels_add={f"{NODE_LABEL}{project}": str(number)})
    return [names[number - 1] for number, _ in placed]


def _forget_lost(stack: Stack, placed: Collection[str], *, containers: Collection[Container]) -> None:
    """Have the broker forget nodes whose machine is another now: without their data they would be brokers of their own.

    Raises:
        StackError: the broker does not, so that such a node must not start.
    """
    first = next((one for one in containers if one.service == SERVICE and one.is_running), None)
    if first is None or not placed:
        return
    # The gateway may not lead to the broker before its nodes have their common name.
    told = stack.engine.execute(first, "rabbitmqctl", "--quiet", "cluster_status", "--formatter", "json")
    if not told:
        raise BrokerError(
            f"RabbitMQ does not say which nodes it has. `invoke logs {SERVICE}` tells why; then this again."
        )
    status = json.loads(told)
    for name in (f"rabbit@{one}" for one in placed):
        if name in status["disk_nodes"] and name not in status["running_nodes"]:
            console.note(f"{name} is on another machine now, without its data; the broker copies it from the others.")
            if not stack.engine.execute(first, "rabbitmqctl", "forget_cluster_node", name):
                raise BrokerError(
                    f"RabbitMQ does not forget {name}. `invoke logs {SERVICE}` tells why; then this again."
                )


def choose_machines(machines: Sequence[Node], project: str, *, count: int) -> Iterator[tuple[int, Node]]:
    """Yield each node of the broker that has no machine yet, and the machine that it gets.

    Raises:
        HostError: there are too few.
    """
    label, home = f"{NODE_LABEL}{project}", f"{WORKSPACE_LABEL}{project}"
    placed = {one.labels[label] for one in machines if label in one.labels}
    missing = [number for number in range(2, count + 1) if str(number) not in placed]
    able = [one for one in machines if one.availability == _ACTIVE and one.state == _READY]
    free = [one for one in able if label not in one.labels and home not in one.labels]
    if len(missing) > len(free):
        raise HostError(
            f"broker.nodes in stack.yaml is {count}, and the Swarm has {len(machines)} machines, of which {len(free)} "
            f"could have one of the {len(missing)} nodes that are still without one. `invoke join` tells how another "
            "machine comes in, and `invoke nodes` which there are."
        )
    yield from zip(missing, free, strict=False)


def _await_nodes(broker: Broker, count: int) -> None:
    """Wait until so many nodes are one broker, and no queue lacks a copy that it had.

    Raises:
        BrokerError: they are not, in time.
    """
    deadline = monotonic() + _SECONDS
    while not _are_one(broker, count):
        if monotonic() > deadline:
            raise BrokerError(
                f"RabbitMQ's {count} nodes are not one broker after {_SECONDS:.0f} s. `invoke logs` tells why, and "
                '`invoke nodes` which machine is away; then `invoke up` goes on. Where the log says "Bad cookie", '
                "the machine has a volume of an earlier broker: remove it there with `docker volume rm`."
            )
        sleep(_LOOK)


def _are_one(broker: Broker, count: int) -> bool:
    try:
        nodes = broker.fetch_list("/api/nodes?columns=name,running")
        copies = [one for one in fetch_copies(broker) if one.get("members")]
    except BrokerError:
        return False
    running = sum(bool(one.get("running")) for one in nodes)
    return running >= count and all(len(one.get("online") or ()) >= min(len(one["members"]), count) for one in copies)
