"""A broker on three machines: grown from one, and one of them without power; the tests are one story."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from stack.config.environment import SecretContent
from stack.plan.account import administrator
from stack.rabbitmq.drift import fetch_copies
from stack.rabbitmq.management import Broker
from stack.state.vault import load_stack_key
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.nodes import PERSISTENT, QUEUE, Load, connect, read_all
from tests.docker.workspace import wait_until
from tests.swarm.lab import Lab, Node, NodeWorkspace

# What the ordinary run shows with a whole stack (test_node_loss.py), these measure of the broker.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_BEFORE = 200


@pytest.fixture(scope="module")
def stack(lab: Lab, workspace: NodeWorkspace) -> Iterator[NodeWorkspace]:
    """A stack of one node, whose images all machines have."""
    for name in ("rabbitmq", "gateway"):
        listed = workspace.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"tidegate/{name}")
        lab.load(listed.stdout.split(), lab.nodes[1:])
    workspace.configure(engine="swarm", bind="0.0.0.0", plaintext=True)
    workspace.invoke("credentials")
    workspace.invoke("up", timeout=280)
    yield workspace
    workspace.invoke("down", "--volumes", "--yes")


def find_brokers(lab: Lab, workspace: NodeWorkspace) -> list[Broker]:
    """Return each machine's node as the network of the machines has it."""
    account = administrator(SecretContent(load_stack_key(StackWorkspace(workspace.root))))
    ports = workspace.settings.ports
    return [Broker(one.address, ports.amqp, ports.mqtt, ports.management, account) for one in lab.nodes]


def count_running(broker: Broker) -> int:
    nodes = broker.request("GET", "/api/nodes?columns=name,running")
    return sum(bool(one.get("running")) for one in nodes if isinstance(one, dict))


def test_a_broker_grows_to_three_machines(lab: Lab, stack: NodeWorkspace) -> None:
    first, *_ = brokers = find_brokers(lab, stack)
    with lab.outside(), connect(first) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(_BEFORE):
            channel.basic_publish("", QUEUE, f"before-{number}".encode(), PERSISTENT)
    stack.configure(broker={"nodes": 3})
    stack.invoke("up", timeout=600)
    with lab.outside():
        assert count_running(first) == 3
        assert {len(one["online"]) for one in fetch_copies(first) if one["type"] == "quorum"} == {3}
        for broker in brokers:
            with connect(broker) as connection:
                found = connection.channel().queue_declare(QUEUE, passive=True)
                assert found.method.message_count == _BEFORE
    services = {one["service"] for one in json.loads(stack.invoke("status", "--json").stdout)}
    assert services >= {f"rabbitmq-mqtt{suffix}" for suffix in ("", "-2", "-3")}


def test_nothing_confirmed_is_lost_with_a_machine(
    lab: Lab, stack: NodeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = find_brokers(lab, stack)
    load = Load([third, second, first], lab.outside)
    load.start()
    time.sleep(5)
    lost = lab.nodes[2]
    lost.power_off()
    time.sleep(30)
    bring_back(lost)
    with lab.outside():
        wait_until(lambda: count_running(first) == 3, seconds=180, what="three nodes again")
    time.sleep(3)
    load.stop()
    with lab.outside():
        bodies = Counter(body.decode() for _, body in read_all(second, QUEUE))
    missing = load.bodies - bodies.keys()
    with capsys.disabled():
        print(
            f"\na machine without power: {len(load.confirmed)} confirmed, {len(missing)} lost, "
            f"{bodies.total() - len(bodies)} twice, longest pause {load.longest_pause:.1f} s",
            file=sys.stderr,
        )
    assert not missing
    assert sum(one.startswith("before-") for one in bodies) == _BEFORE
    assert load.longest_pause < 15


def bring_back(node: Node) -> None:
    node.start()
    node.await_engine()
