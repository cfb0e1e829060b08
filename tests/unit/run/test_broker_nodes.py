"""Which machine of a Swarm gets which node of the broker."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from stack.docker.node import Node
from stack.errors import BrokerError, HostError
from stack.run.broker_nodes import _forget_lost, choose_machines

HOME, BROKER = "io.tidegate.workspace.plant", "io.tidegate.broker.plant"


def make_machine(name: str, availability: str = "active", state: str = "ready", **labels: str) -> Node:
    return Node(name, name, "manager", availability, state, "10.0.0.1", labels)


def choose(*machines: Node, count: int = 3) -> dict[int, str]:
    return {number: one.name for number, one in choose_machines(machines, "plant", count=count)}


def test_each_node_but_the_first_gets_a_machine_of_its_own() -> None:
    assert choose(make_machine("a", **{HOME: "true"}), make_machine("b"), make_machine("c")) == {2: "b", 3: "c"}


def test_a_node_stays_where_it_is() -> None:
    machines = [make_machine("a", **{HOME: "true"}), make_machine("b"), make_machine("c", **{BROKER: "2"})]
    assert choose(*machines) == {3: "b"}
    assert choose(machines[0], machines[2], make_machine("d", state="down", **{BROKER: "3"})) == {}


@pytest.mark.parametrize("third", [make_machine("c", "drain"), make_machine("c", state="down")])
def test_too_few_machines_are_told(third: Node) -> None:
    with pytest.raises(HostError, match=r"broker.nodes in stack.yaml is 3, and the Swarm has 3 machines, of which 1 "):
        choose(make_machine("a", **{HOME: "true"}), make_machine("b"), third)


@pytest.mark.parametrize(
    ("placed", "is_running", "forgotten"),
    [(["rabbitmq-mqtt-3"], False, ["rabbit@rabbitmq-mqtt-3"]), (["rabbitmq-mqtt-3"], True, []), ([], False, [])],
)
def test_a_node_that_has_lost_its_data_is_forgotten_first(
    placed: list[str], is_running: bool, forgotten: list[str]
) -> None:
    stack, first = Mock(), SimpleNamespace(service="rabbitmq-mqtt", is_running=True)
    names = ["rabbit@rabbitmq-mqtt", "rabbit@rabbitmq-mqtt-3"]
    running = names if is_running else names[:1]
    stack.engine.execute.return_value = json.dumps({"disk_nodes": names, "running_nodes": running})
    _forget_lost(stack, placed, containers=[first])  # type: ignore[list-item]
    commands = [one.args[1:] for one in stack.engine.execute.mock_calls]
    assert [one[-1] for one in commands if "forget_cluster_node" in one] == forgotten


def test_a_broker_that_says_nothing_of_its_nodes_is_not_guessed_at() -> None:
    stack, first = Mock(), SimpleNamespace(service="rabbitmq-mqtt", is_running=True)
    stack.engine.execute.return_value = ""
    with pytest.raises(BrokerError, match="does not say which nodes it has"):
        _forget_lost(stack, ["rabbitmq-mqtt-3"], containers=[first])  # type: ignore[list-item]
