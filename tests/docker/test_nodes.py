"""A broker of three nodes: what it confirmed outlives any of them, one replica is active, and it grows from one."""

import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from stack.contract import MQTT_EXCHANGE, NODES_VARIABLE
from stack.plan.account import administrator
from stack.plan.broker import AMQP_PORT, NODES
from stack.plan.definitions import read_definitions
from stack.plan.replication import find_fixed_copies, find_single_copies
from stack.plan.stack_image import processor_image
from stack.rabbitmq.drift import Declared, fetch_copies
from stack.rabbitmq.management import Broker
from stack.rabbitmq.repair import mend_broker
from tests.docker.nodes import PERSISTENT, QUEUE, Load, Nodes, connect, open_nodes, read_all
from tests.docker.workspace import Workspace, run_docker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

QUORUM = {"x-queue-type": "quorum"}
# Seconds of load around each kill.
_LOAD = 4.0
# Seconds in which somebody is active again whatever node is gone.
_LEASED = 20.0
NUMBERS = [str(number).encode() for number in range(300)]


@pytest.fixture
def nodes(fresh_workspace: Workspace, tmp_path: Path) -> Iterator[Nodes]:
    with open_nodes(fresh_workspace, tmp_path / "nodes") as opened:
        yield opened


def count_copies(nodes: Nodes, number: int) -> set[int]:
    """Return on how many nodes quorum queues are, as one node tells."""
    return {len(one.get("online") or ()) for one in fetch_copies(nodes.broker(number)) if one["type"] == "quorum"}


def test_of_five_nodes_two_may_be_lost_at_once(fresh_workspace: Workspace, tmp_path: Path) -> None:
    """Also just after a queue was declared, as it is on all of them then."""
    with open_nodes(fresh_workspace, tmp_path / "nodes", count=5) as nodes:
        nodes.start(1, 2, 3, 4, 5)
        nodes.wait(1, 2, 3, 4, 5)
        names = [f"{QUEUE}-{number}" for number in range(5)]
        with connect(nodes.broker(1)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for name in names:
                channel.queue_declare(name, durable=True)
                channel.basic_publish("", name, b"before", PERSISTENT)
            assert {len(one["members"]) for one in fetch_copies(nodes.broker(1))} == {5}
            nodes.kill(4)
            nodes.kill(5)
            for name in names:
                channel.basic_publish("", name, b"after", PERSISTENT)
        for name in names:
            assert [body for _, body in read_all(nodes.broker(2), name)] == [b"before", b"after"]


# Writes down each message in a file, which the test reads.
_TALLY = """
import os

def init_context(context):
    context.user_data.file = os.open("/tally/handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

def handler(context, event):
    os.write(context.user_data.file, event.body + b"\\n")
"""


@contextmanager
def handling(nodes: Nodes) -> Iterator[Path]:
    """Run a function that consumes the queue, and that finds the nodes by the name that all of them have."""
    folder, name = nodes.folder / "function", f"{nodes.network}-function"
    attributes = {"queueName": QUEUE, "queueType": "quorum", "reconnectInterval": "2s"}
    trigger = {"kind": "rabbit-mq", "secret": "broker.url", "attributes": attributes}
    files = {
        "processor.yaml": json.dumps({"spec": {"handler": "main:handler", "triggers": {"orders": trigger}}}),
        "secrets/broker.url": administrator(nodes.stack.vault.key).url(NODES, AMQP_PORT),
        "code/main.py": _TALLY,
        "tally/handled": "",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "tally" / "handled").chmod(0o666)
    mounts = {
        "processor.yaml": "/etc/nuclio/config/processor/processor.yaml",
        "secrets": "/run/secrets",
        "code": "/opt/nuclio",
        "tally": "/tally",
    }
    options = [part for here, there in mounts.items() for part in ("--volume", f"{folder / here}:{there}")]
    options += ["--network", nodes.network, "--env", f"{NODES_VARIABLE}=3", "--name", name]
    run_docker("run", "--detach", *options, processor_image(nodes.stack.bare_inputs))
    try:
        yield folder / "tally" / "handled"
    finally:
        run_docker("rm", "--force", name)


def test_nothing_confirmed_is_lost_with_a_node(nodes: Nodes, capsys: pytest.CaptureFixture[str]) -> None:
    nodes.start(1, 2, 3)
    nodes.wait(1, 2, 3)
    brokers = [nodes.broker(number) for number in (1, 2, 3)]
    with handling(nodes) as path:
        wait_until(lambda: count_copies(nodes, 1) == {3}, seconds=60, what="three copies of the function's queue")
        load = Load([brokers[1], brokers[2], brokers[0]])
        load.start()
        for number in (2, 1, 3):
            # Each in turn: the publisher's own, the function's own, the queue's leader.
            time.sleep(_LOAD)
            nodes.kill(number)
            time.sleep(_LOAD)
            nodes.start(number)
            nodes.wait(1, 2, 3)
        load.stop()
        wait_until(lambda: set(path.read_text().split()) >= load.bodies, seconds=60, what="all that was confirmed")
        handled = Counter(path.read_text().split())
    twice = handled.total() - len(handled)
    with capsys.disabled():
        print(
            f"\nthree nodes killed in turn: {len(load.confirmed)} confirmed, 0 lost, {twice} handled twice, "
            f"longest pause {load.longest_pause:.1f} s",
            file=sys.stderr,
        )
    assert load.longest_pause < 15


# Says when it becomes active and when it is no more.
_WATCH = """
import sys, time
from stack.processor.source.lock import TokenLock

lock, before = TokenLock(sys.argv[1], "nuclio-nuclio-tick-clock.lock"), False
lock.start()
while True:
    if (now := lock.is_held) != before:
        print(time.time(), int(now), flush=True)
        before = now
    time.sleep(0.01)
"""


class Replica:
    """A container that wants to be active; it finds the nodes by the name that all of them have."""

    def __init__(self, nodes: Nodes, number: int) -> None:
        self.name, self._network = f"{nodes.network}-replica{number}", nodes.network
        url = administrator(nodes.stack.vault.key).url(NODES, AMQP_PORT)
        options = ["--name", self.name, "--network", nodes.network, "--env", "PYTHONPATH=/opt/tidegate"]
        image = processor_image(nodes.stack.bare_inputs)
        run_docker("run", "--detach", *options, image, "python3", "-c", _WATCH, url)

    def times_active(self) -> list[tuple[float, float]]:
        """Return from when to when it was active; one that goes on ends now."""
        changes = [line.split() for line in run_docker("logs", self.name).stdout.splitlines()]
        times = [float(moment) for moment, _ in changes] + [time.time()] * (len(changes) % 2)
        return list(zip(times[::2], times[1::2], strict=True))

    @property
    def is_active(self) -> bool:
        return run_docker("logs", self.name).stdout.rstrip().endswith(" 1")

    def kill(self) -> None:
        run_docker("kill", "--signal", "KILL", self.name)

    def cut(self) -> None:
        """Take its network away, as with its machine: no one is told that its connections end."""
        run_docker("network", "disconnect", self._network, self.name)

    def remove(self) -> None:
        run_docker("rm", "--force", self.name, check=False)


def find_active(replicas: list[Replica]) -> Replica:
    """Return the one that is active, once one is."""
    wait_until(lambda: any(one.is_active for one in replicas), seconds=60, what="an active replica")
    return next(one for one in replicas if one.is_active)


@contextmanager
def replicating(nodes: Nodes, count: int) -> Iterator[list[Replica]]:
    replicas: list[Replica] = []
    try:
        replicas += (Replica(nodes, number) for number in range(count))
        yield list(replicas)
    finally:
        for one in replicas:
            one.remove()


def test_one_replica_is_active_whatever_ends(nodes: Nodes, capsys: pytest.CaptureFixture[str]) -> None:
    nodes.start(1, 2, 3)
    nodes.wait(1, 2, 3)
    with replicating(nodes, 4) as left:
        killed, began = find_active(left), time.time()
        killed.kill()
        left.remove(killed)
        after_kill = find_active(left).times_active()[-1][0] - began
        cut, began = find_active(left), time.time()
        cut.cut()
        left.remove(cut)
        after_cut = find_active(left).times_active()[-1][0] - began
        wait_until(lambda: not cut.is_active, what="the end of who was cut off")
        began = time.time()
        nodes.kill(2)
        time.sleep(_LEASED)
        after_node = max((span[0] for one in left for span in one.times_active()), default=0.0) - began
        assert find_active(left)
        spans = sorted(span for one in (cut, *left) for span in one.times_active())
    with capsys.disabled():
        print(
            f"\nactive after a process was killed: {after_kill:.1f} s; cut off: {after_cut:.1f} s; "
            f"a node was killed: {max(0.0, after_node):.1f} s",
            file=sys.stderr,
        )
    assert after_kill < 5
    assert after_cut < 30
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans)), spans


@contextmanager
def session(broker: Broker, name: str = "pump", *, is_clean: bool = False) -> Iterator[list[tuple[str, bytes]]]:
    """Be a device whose session the broker keeps, or ends with its connection; yield what it hears."""
    heard: list[tuple[str, bytes]] = []
    client = Client(CallbackAPIVersion.VERSION2, name, clean_session=is_clean, protocol=MQTTv311)
    client.username_pw_set(broker.credentials.username, broker.credentials.password.get_secret_value())
    granted = threading.Event()
    client.on_subscribe = lambda *_: granted.set()
    client.on_message = lambda _client, _data, message: heard.append((message.topic, bytes(message.payload)))
    client.connect(broker.host, broker.mqtt_port)
    client.subscribe("plant/+/cmd", 1)
    client.loop_start()
    try:
        assert granted.wait(10)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def fill(broker: Broker) -> None:
    """Have queues as an installation of one node has them, with messages; of MQTT a session that is away."""
    with session(broker):
        pass
    with connect(broker) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for name, arguments in {QUEUE: QUORUM, "older": {}, "ranked": {"x-max-priority": 5}}.items():
            channel.queue_declare(name, durable=True, arguments=arguments)
        channel.queue_bind("older", MQTT_EXCHANGE, "log.#")
        for number, body in enumerate(NUMBERS):
            channel.basic_publish("", QUEUE, body, PERSISTENT)
            channel.basic_publish(MQTT_EXCHANGE, "log.a", body, PERSISTENT)
            channel.basic_publish(MQTT_EXCHANGE, f"plant.{number % 3}.cmd", body, PERSISTENT)


def grow(nodes: Nodes) -> float:
    """Have two more nodes, and what one alone keeps moved; return the seconds from when they are one broker."""
    nodes.render(3)
    run_docker("restart", nodes.name(1))
    nodes.start(2, 3)
    nodes.wait(1, 2, 3)
    began, declared = time.monotonic(), Declared(read_definitions([]), (), (), nodes=3)
    assert mend_broker(nodes.broker(1), lambda: declared, rewrite=lambda _queue, _method, properties, _body: properties)
    wait_until(lambda: count_copies(nodes, 2) == {3}, seconds=120, what="three copies of each queue")
    return time.monotonic() - began


def check_new_queues(broker: Broker) -> None:
    """What lasts is on all nodes also where no one says so, and what ends with its connection is let in."""
    with connect(broker) as connection, session(broker, "guest", is_clean=True) as heard:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("untyped", durable=True)
        channel.basic_publish(MQTT_EXCHANGE, "plant.1.cmd", b"on", PERSISTENT)
        wait_until(lambda: heard == [("plant/1/cmd", b"on")], what="the message")
        types = {one["name"]: one["type"] for one in fetch_copies(broker)}
        assert (types["untyped"], types["mqtt-subscription-guestqos1"]) == ("quorum", "classic")
        channel.queue_delete("untyped")


def test_growing_keeps_every_queue_and_message(nodes: Nodes, capsys: pytest.CaptureFixture[str]) -> None:
    nodes.render(1)
    nodes.start(1)
    nodes.wait(1)
    fill(nodes.broker(1))
    seconds = grow(nodes)
    left = read_definitions([nodes.broker(1).export_definitions()])
    with capsys.disabled():
        print(f"\nall of {len(left.queues)} queues on three nodes after {seconds:.1f} s", file=sys.stderr)
    assert not list(find_single_copies(left))
    assert [one.subject for one in find_fixed_copies(left)] == ["queue ranked"]
    check_new_queues(nodes.broker(1))
    nodes.kill(1)
    wait_until(lambda: nodes.count((2, 3)) == 2, seconds=60, what="two nodes")
    second = nodes.broker(2)
    for name in (QUEUE, "older"):
        assert [body for _, body in read_all(second, name)] == NUMBERS
    with session(second) as heard:
        wait_until(lambda: len(heard) > len(NUMBERS), seconds=30, what="what the session had kept")
    said = [(f"plant/{number % 3}/cmd", body) for number, body in enumerate(NUMBERS)]
    assert heard == [*said, ("plant/1/cmd", b"on")]
