"""Two whole stacks with a bridge between them, over a line that is cut."""

import json
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pika
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from stack.docker.stack import open_stack
from stack.plan.bridge_state import BridgeState
from stack.rabbitmq.bridge import fetch_bridges
from stack.rabbitmq.management import Broker as Management
from stack.rabbitmq.management import find_broker
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.confirmed import Ledger
from tests.docker.workspace import Workspace, make_workspace, run_docker, wait_until
from tests.ports import free_ports

# The name by which the site knows the headquarters, which is in its certificate.
HOST, BROKER = "hq.example", "rabbitmq-mqtt"
# It has what a URL has to have escaped.
ACCOUNT = "tidegate-bridge-plant-7:a word/with:signs@%"
AT_HQ = {"name": "plant-7", "secret": "plant-7.account", "topics": ["cmd/#"], "receive": ["plant/#"]}
AT_SITE = {
    "name": "hq",
    "to": f"amqps://{HOST}/%2f",
    "ca": "hq-ca.pem",
    "secret": "hq.account",
    "topics": ["plant/#"],
    "receive": ["cmd/#"],
}
_SECURE = ("mqtts", "amqps", "https", "gateway_https", "management_https")
# Queues of the test at either end.
SEEN, COMMANDED = "test/seen", "test/commanded"


@dataclass(frozen=True)
class Pair:
    """The stack of a site, that of the headquarters, and the line between them."""

    site: Workspace
    hq: Workspace

    @property
    def _line(self) -> tuple[str, str]:
        (container,) = self.hq.containers(BROKER)
        return f"{self.site.project}_default", container

    def cut(self) -> None:
        run_docker("network", "disconnect", "--force", *self._line)

    def mend(self) -> None:
        run_docker("network", "connect", "--alias", HOST, *self._line)

    def tell(self) -> dict[str, Any]:
        """Return the bridge as the site's `status` has it."""
        (bridge,) = tell_bridges(self.site)
        return bridge

    def tell_oldest(self) -> dict[str, Any]:
        """Return the bridge as the site's `status` has it, once that knows how long the oldest message waits."""
        found: list[dict[str, Any]] = []

        def ask() -> bool:
            found.append(self.tell())
            return found[-1]["oldest"] is not None

        wait_until(ask, seconds=60, what="the oldest message")
        return found[-1]

    def look(self) -> BridgeState:
        """Return how it is without starting a task."""
        stack = open_stack(StackWorkspace(self.site.root))
        (state,) = fetch_bridges(stack, find_broker(stack))
        return state

    def wait(self) -> None:
        """Wait until messages go both ways."""
        wait_until(lambda: self.look().runs, seconds=90, what="the bridge")


def tell_bridges(workspace: Workspace) -> list[dict[str, Any]]:
    found = json.loads(workspace.invoke("status", "--json").stdout)
    return next(one.get("bridges", []) for one in found if one["service"] == BROKER)


def power_cycle(workspace: Workspace) -> None:
    """End the broker as a loss of power does, and start it again."""
    (container,) = workspace.containers(BROKER)
    run_docker("kill", "--signal", "KILL", container)
    run_docker("start", container)


def await_broker(workspace: Workspace) -> None:
    (container,) = workspace.containers(BROKER)
    state = ("inspect", "--format", "{{.State.Health.Status}}", container)
    wait_until(lambda: run_docker(*state).stdout.strip() == "healthy", seconds=90, what="the broker")


def manage(workspace: Workspace) -> Management:
    return find_broker(open_stack(StackWorkspace(workspace.root)))


def bind(workspace: Workspace, queue: str, key: str) -> None:
    """Keep what is published for MQTT with a key."""
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(queue, "amq.topic", key)


def read(workspace: Workspace, queue: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield key, body and headers of what is in a queue, and take it out."""
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None:
                return
            yield method.routing_key, body.decode(), properties.headers or {}


def count(workspace: Workspace, queue: str) -> int:
    return manage(workspace).queues().get(queue, 0)


def publish(workspace: Workspace, topic: str, bodies: Iterable[str]) -> None:
    """Publish over MQTT as a device does, and wait until the broker has all."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("guest", "guest")
    client.max_inflight_messages_set(0)
    client.connect("127.0.0.1", workspace.settings.ports.mqtt)
    client.loop_start()
    for sent in [client.publish(topic, body, qos=1) for body in bodies]:
        sent.wait_for_publish(30)
        assert sent.is_published()
    client.disconnect()
    client.loop_stop()


@dataclass
class Devices:
    """Devices of the site that number what they publish."""

    workspace: Workspace
    ledger: Ledger = field(default_factory=Ledger)

    def speak(self, times: int) -> None:
        for name in ("oven", "press", "pump"):
            said = self.ledger.confirmed.setdefault(name, [])
            new = [f"{name}-{len(said) + number}" for number in range(times)]
            publish(self.workspace, f"plant/7/{name}", new)
            said += new

    def check(self, pair: Pair, most_doubles: int, others: Collection[str] = ()) -> None:
        """Wait until all have come, see that none is lost or out of order, and who sent them."""
        found: list[tuple[str, str, dict[str, Any]]] = []
        wanted = {one for said in self.ledger.confirmed.values() for one in said}

        def read_more() -> bool:
            found.extend(one for one in read(pair.hq, SEEN) if one[0].rpartition(".")[2] not in others)
            return wanted <= {body for _, body, _ in found}

        wait_until(read_more, seconds=180, what="the last of the messages")
        wait_until(lambda: not pair.look().messages, seconds=60, what="the end of what waits")
        read_more()
        lost, doubles, mixed = self.ledger.compare([body for _, body, _ in found])
        assert (len(lost), mixed) == (0, [])
        assert doubles <= most_doubles, doubles
        for key, body, headers in found:
            assert key == f"plant.7.{body.partition('-')[0]}"
            assert [one["shovelled-by"] for one in headers["x-shovelled"]] == ["plant-7"]
            assert abs(headers["timestamp_in_ms"] / 1000 - time.time()) < 600


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, foundation: None, used_images: set[str]) -> Iterator[Pair]:
    """A site and its headquarters, which is connected to the site's network by a name of its own."""
    root = tmp_path_factory.mktemp("bridge")
    site, hq = (make_workspace(root / name, functions=False) for name in ("site", "hq"))
    ports = hq.settings.ports.model_dump() | dict(zip(_SECURE, free_ports(len(_SECURE)), strict=True))
    trust = hq.rendered / "secrets" / "tls" / "mounted" / "authority.pem"
    try:
        hq.configure(ports=ports, tls={"names": [HOST]}, bridge=[AT_HQ])
        site.configure(site="plant-7", bridge=[AT_SITE])
        set_accounts(site, hq)
        with ThreadPoolExecutor() as pool:
            starts = pool.submit(hq.invoke, "up")
            wait_until(lambda: trust.is_file() or starts.done(), seconds=90, what="the certificate of hq")
            (site.root / "hq-ca.pem").write_bytes(trust.read_bytes())
            site.invoke("up")
            starts.result()
        made = Pair(site, hq)
        made.mend()
        bind(hq, SEEN, "plant.#")
        bind(site, COMMANDED, "cmd.#")
        made.wait()
        yield made
    finally:
        # The broker of hq is on the site's network, which goes after it.
        for workspace in (hq, site):
            used_images |= workspace.clean_up()


def set_accounts(site: Workspace, hq: Workspace) -> None:
    """Give both ends the account of the bridge."""
    with ThreadPoolExecutor() as pool:
        ends = ((hq, "plant-7"), (site, "hq"))
        for done in [pool.submit(one.invoke, "secret", "set", name, "account", input=ACCOUNT) for one, name in ends]:
            done.result()


def test_nothing_is_lost_where_a_line_is_cut_and_power_fails(pair: Pair) -> None:
    devices = Devices(pair.site)
    devices.speak(20)
    wait_until(lambda: count(pair.hq, SEEN) == 60, seconds=60, what="what goes at once")
    pair.cut()
    devices.speak(200)
    publish(pair.hq, "cmd/7/oven", ["on", "off"])
    power_cycle(pair.site)
    await_broker(pair.site)
    # The queue is there a moment after the broker, and what was confirmed last may be in it still.
    wait_until(lambda: pair.look().messages >= 600 and pair.look().reason, seconds=60, what="what waits, and why")
    bridge = pair.tell_oldest()
    assert not bridge["running"]
    assert bridge["messages"] <= 660
    assert 0 <= bridge["oldest"] < 300
    devices.speak(20)
    pair.mend()
    # Messages are on their way when hq goes.
    wait_until(lambda: count(pair.hq, SEEN) > 100, seconds=90, what="the first of them")
    power_cycle(pair.hq)
    await_broker(pair.hq)
    devices.check(pair, most_doubles=600)
    commands: list[tuple[str, str]] = []

    def read_commands() -> int:
        commands.extend((key, body) for key, body, _ in read(pair.site, COMMANDED))
        return len(set(commands)) == 2

    # As all that goes over a bridge, they come at least once: hq may go before it knows that they came.
    wait_until(read_commands, what="the commands")
    assert list(dict.fromkeys(commands)) == [("cmd.7.oven", "on"), ("cmd.7.oven", "off")]
    # The site confirms the last of them a moment after it has them.
    wait_until(lambda: not count(pair.hq, "tidegate-bridge-plant-7"), seconds=60, what="the end of what waits")


@pytest.mark.slow
def test_a_long_cut_with_power_lost_again_and_again(pair: Pair) -> None:
    """An hour's messages of three devices that speak once a second, as fast as they go; each reading is stored once."""
    pair.hq.configure(data={"keep": [{"topic": "plant/+/degrees"}]})
    pair.hq.invoke("up")
    pair.wait()
    devices = Devices(pair.site)
    pair.cut()
    for _ in range(3):
        devices.speak(1200)
        for number in range(20):
            publish(pair.site, f"plant/{number}/degrees", ["20"])
        power_cycle(pair.site)
        power_cycle(pair.hq)
        await_broker(pair.site)
        await_broker(pair.hq)
    pair.mend()
    for workspace in (pair.hq, pair.site, pair.hq):
        held = count(pair.hq, SEEN)
        wait_until(lambda held=held: count(pair.hq, SEEN) > held + 500, seconds=90, what="more of them")
        power_cycle(workspace)
        await_broker(workspace)
    devices.check(pair, most_doubles=800, others=("degrees",))
    wait_until(lambda: not count(pair.hq, "tidegate-recorder-topics"), seconds=60, what="the recorder")
    points = pair.hq.invoke("readings", "degrees", "--since", "1h", "--format", "json").stdout.splitlines()
    assert len(points) == 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({"to": f"amqps://{HOST}:5999/%2f"}, "its broker takes no connections at that port"),
        ({"to": f"amqps://{HOST}/other"}, "its broker does not let the account into that virtual host"),
    ],
)
def test_a_bridge_that_does_not_run_says_why(pair: Pair, there: dict[str, str], reason: str) -> None:
    pair.site.configure(bridge=[{**AT_SITE, **there}])
    pair.site.invoke("up")
    try:
        wait_until(lambda: pair.look().reason == reason, seconds=60, what=reason)
        assert f"does not run: {reason}." in pair.site.invoke("status").stderr
    finally:
        pair.site.configure(bridge=[AT_SITE])
        pair.site.invoke("up")
        pair.wait()


@pytest.mark.slow
def test_a_bridge_is_as_stack_yaml_says(pair: Pair) -> None:
    """What is not as declared is told and mended; a limit holds; what is of a bridge that is no more goes."""
    manage(pair.site).request("DELETE", "/api/parameters/shovel/%2F/tidegate-bridge-hq")
    told = pair.site.invoke("plan", check=False)
    assert "shovel tidegate-bridge-hq" in told.stdout
    assert "word" not in told.stdout + told.stderr
    pair.site.configure(bridge=[{**AT_SITE, "rate": "200 kB/s"}])
    pair.site.invoke("up")
    pair.wait()
    list(read(pair.hq, SEEN))
    start = time.monotonic()
    publish(pair.site, "plant/7/big", ["x" * 20_000] * 100)
    wait_until(lambda: count(pair.hq, SEEN) == 100, seconds=60, what="what is limited")
    # As much as the limit takes a second goes at once.
    assert time.monotonic() - start > 8
    list(read(pair.hq, SEEN))
    pair.site.configure(bridge=[])
    pair.site.invoke("up")
    assert not pair.site.invoke("plan").stdout
    assert "tidegate-bridge-hq" not in manage(pair.site).queues()
    assert not manage(pair.site).request("GET", "/api/parameters")
    pair.site.configure(bridge=[AT_SITE])
    pair.site.invoke("up")
    pair.wait()
