"""Which machine of a Swarm gets which node of the broker."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from stack.docker.node import Node
from stack.errors import HostError
from stack.run.broker_nodes import _forget_lost, choose_machines

HOME, BROKER = "io.tidegate.workspace.plant", "io.tidegate.broker.plant"


def make_machine(name: str, availability: str = "active", state: str = "ready", **labels: str) -> Node:
    return Node(name, name, "manager", availability, state, "10.0.0.1", labels)


def choose(*machines: Node, count: int = 3) -> dict[int, str]:
    return {number: one.name for number, one in choose_machines(machines, "plant", count)}


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
    stack, broker, first = Mock(), Mock(), SimpleNamespace(service="rabbitmq-mqtt", is_running=True)
    names = {"rabbit@rabbitmq-mqtt": True, "rabbit@rabbitmq-mqtt-3": is_running}
    broker.request.return_value = [{"name": name, "running": running} for name, running in names.items()]
    _forget_lost(stack, broker, placed, [first])  # type: ignore[list-item]
    assert [one.args[-1] for one in stack.engine.execute.mock_calls] == forgotten
