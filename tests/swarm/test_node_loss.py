"""The machine with the most on it is lost under load: no confirmed message is, and what ran there runs elsewhere."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest

from tests.docker.workspace import fetch, wait_until
from tests.swarm.lab import Lab, Node, NodeWorkspace
from tests.swarm.load import loading

_FORWARD = """
def handler(context, event):
    context.outputs.seen.send(event.body)
"""
_FORWARD_CONFIG = """
spec:
  minReplicas: 3
  maxReplicas: 3
  outputs:
    seen: {kind: rabbit-mq, queue: seen}
  triggers:
    numbers: {kind: rabbit-mq, numWorkers: 2, attributes: {exchangeName: numbers, topics: [number], queueName: numbers}}
"""
_HELLO = """
def handler(context, event):
    return "hello"
"""
_HELLO_CONFIG = "spec: {minReplicas: 3, maxReplicas: 3}\n"
_FUNCTIONS = ("function-forward", "function-hello")


@pytest.fixture(scope="module")
def cluster(lab: Lab, workspace: NodeWorkspace, gateway_image: str) -> Iterator[NodeWorkspace]:
    """A stack with a node of the broker, and a container of each function, on each machine."""
    workspace.configure(broker={"nodes": 3})
    workspace.invoke("credentials")
    workspace.invoke("up", timeout=500)
    workspace.write_function("forward", _FORWARD, _FORWARD_CONFIG)
    workspace.write_function("hello", _HELLO, _HELLO_CONFIG)
    workspace.invoke("deploy-function", "--all")
    yield workspace
    # Before its settings change, by which it knows what is there.
    workspace.invoke("down", "--volumes", "--yes")
    workspace.configure(broker={"nodes": 1})


def find_running(observer: Node, workspace: NodeWorkspace, service: str) -> Counter[str]:
    """Return how many containers of a service each machine runs, as a manager knows that is not lost."""
    name = f"{workspace.project}_{service}"
    listed = observer.docker(
        "service", "ps", name, "--format", "json", "--filter", "desired-state=running", check=False
    )
    rows: list[dict[str, Any]] = [json.loads(line) for line in listed.stdout.splitlines()]
    return Counter(row["Node"] for row in rows if row["CurrentState"].startswith("Running"))


def spread(observer: Node, workspace: NodeWorkspace, service: str) -> None:
    """Have each machine run one container of a service: nothing moves back by itself to a machine that was lost."""
    if len(find_running(observer, workspace, service)) < 3:
        update = ("service", "update", "--force", "--detach", f"{workspace.project}_{service}")
        # Managers choose a leader again after a return, and refuse meanwhile.
        wait_until(lambda: not observer.docker(*update, check=False).returncode, seconds=120, what="a leader")
        everywhere = {"n1": 1, "n2": 1, "n3": 1}
        what = f"{service} on each machine"
        wait_until(lambda: find_running(observer, workspace, service) == everywhere, seconds=120, what=what)


def ask_broker(workspace: NodeWorkspace, observer: Node, path: str) -> Any:
    """Return what the broker's management says; nothing where it does not answer well."""
    account = urlsplit(workspace.amqp_url)
    url = f"http://{observer.address}:{workspace.settings.ports.management}/api/{path}"
    status, text = fetch(url, user=account.username or "", password=account.password or "")
    return json.loads(text) if status == 200 else None


def is_whole(workspace: NodeWorkspace, observer: Node) -> bool:
    """Return whether all nodes of the broker run."""
    return [one.get("running") for one in ask_broker(workspace, observer, "nodes") or ()] == [True] * 3


def is_handled(workspace: NodeWorkspace, observer: Node) -> bool:
    """Return whether the function has handled all that was published: a broken connection may hold some for long."""
    queue = ask_broker(workspace, observer, "queues/%2f/numbers") or {}
    return queue.get("messages") == 0


def drain(workspace: NodeWorkspace, observer: Node) -> Counter[str]:
    """Take what the function has sent on, until nothing more comes: the broker's figures are some seconds old."""
    wait_until(lambda: is_handled(workspace, observer), seconds=180, what="the function having handled everything")
    account, seen = urlsplit(workspace.amqp_url), Counter[str]()
    url = f"amqp://{account.netloc.rpartition('@')[0]}@{observer.address}:{workspace.settings.ports.amqp}/%2f"
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for method, _, body in channel.consume("seen", inactivity_timeout=10, auto_ack=True):
            if method is None:
                break
            seen[body.decode()] += 1
        channel.cancel()
    return seen


def power_off(node: Node) -> None:
    node.power_off()


def cut(node: Node) -> None:
    node.cut()


@pytest.mark.parametrize(
    "lose",
    [power_off, cut, pytest.param(power_off, marks=pytest.mark.slow), pytest.param(cut, marks=pytest.mark.slow)],
    ids=["off", "cut", "off-again", "cut-again"],
)
def test_nothing_confirmed_is_lost_with_a_machine(
    lab: Lab, cluster: NodeWorkspace, lose: Callable[[Node], None], capsys: pytest.CaptureFixture[str]
) -> None:
    lost, observer = lab.nodes[0], lab.nodes[1]
    for service in _FUNCTIONS:
        spread(observer, cluster, service)
    account = urlsplit(cluster.amqp_url).netloc.rpartition("@")[0]
    ports = cluster.settings.ports
    brokers = [f"amqp://{account}@{node.address}:{ports.amqp}/%2f" for node in lab.nodes]
    urls = [f"http://{node.address}:{ports.gateway}/hello" for node in lab.nodes]
    with loading(lab, brokers, ("numbers", "number"), urls) as record:
        wait_until(lambda: len(record.confirmed) > 2000 and len(record.answered) > 100, seconds=60, what="the load")
        before, since = len(record.confirmed), time.monotonic()
        lose(lost)

        def is_elsewhere() -> bool:
            found = [find_running(observer, cluster, one) for one in _FUNCTIONS]
            return all(sum(count for name, count in one.items() if name != lost.name) == 3 for one in found)

        # Generous: the machine that plays three may do something else, too.
        wait_until(is_elsewhere, seconds=120, what="every container elsewhere")
        back = time.monotonic() - since
        time.sleep(max(0.0, 20 - back))
        confirmed, pause = len(record.confirmed) - before, record.find_pause(since)
        returned = time.monotonic()
        if lost.process is None:
            lost.start()
            lost.await_engine()
        else:
            lost.mend()
        with lab.outside():
            wait_until(lambda: is_whole(cluster, observer), seconds=180, what="the broker being whole")
        whole = time.monotonic() - returned
    with lab.outside():
        seen = drain(cluster, observer)
    wait_until(lambda: lab.hostnames() == {"n1", "n2", "n3"}, seconds=180, what="every machine being ready")
    missing = set(record.confirmed) - set(seen)
    doubles = seen.total() - len(seen)
    failed = [one for one in record.failed if one > since]
    told = (
        f"{len(record.confirmed)} confirmed ({confirmed / (returned - since):.0f}/s while away), {len(missing)} lost, "
        f"{doubles} doubles; no confirm for {pause:.1f} s; functions elsewhere after {back:.1f} s; "
        f"{len(record.answered)} requests, {len(failed)} failed, slowest {record.find_slowest(since):.1f} s; "
        f"broker whole {whole:.1f} s after the return"
    )
    with capsys.disabled():
        print(f"\n{lose.__name__}: {told}", file=sys.stderr)
    assert not missing
    assert pause < 15, told
