"""A broker of several nodes: containers of the stack's own image on one network of their own, as Swarm runs them."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
from pika.exceptions import AMQPError

from stack.docker.stack import Stack, open_stack
from stack.errors import BrokerError
from stack.plan.account import administrator, erlang_cookie
from stack.plan.broker import AMQP_PORT, MANAGEMENT_PORT, MQTT_PORT, NODES, SERVICE, list_nodes
from stack.plan.render import render_broker
from stack.plan.stack_image import rabbitmq_image
from stack.rabbitmq.management import Broker
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.workspace import Workspace, run_docker, wait_until

QUEUE, PERSISTENT = "orders", pika.BasicProperties(delivery_mode=2)
# Messages a second.
_RATE = 200
_FORMED_SECONDS = 120.0
_COOKIE = "/var/lib/rabbitmq/.erlang.cookie"
_CONF = "/etc/rabbitmq"


@dataclass
class Nodes:
    """The containers of one broker, numbered from 1; each may be killed, and be there again with its data."""

    folder: Path
    stack: Stack
    network: str

    @property
    def settings(self) -> Any:
        return self.stack.settings

    @cached_property
    def image(self) -> str:
        return rabbitmq_image(self.stack.bare_inputs)

    def render(self, count: int) -> None:
        """Write what the nodes of a broker of so many mount."""
        broker = self.settings.broker.model_copy(update={"nodes": count})
        self.stack = replace(self.stack, settings=self.settings.model_copy(update={"broker": broker}))
        for path, content in render_broker(self.stack.bare_inputs).items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def start(self, *numbers: int) -> None:
        """Start nodes, with the data that they have, if any."""
        for number in numbers:
            if run_docker("start", self.name(number), check=False).returncode:
                run_docker("run", "--detach", *self._options(number), self.image)

    def _options(self, number: int) -> list[str]:
        host = SERVICE if number == 1 else f"{SERVICE}-{number}"
        files = self.folder / "rabbitmq"
        mounts = {
            files / "enabled_plugins": f"{_CONF}/enabled_plugins",
            files / "rabbitmq.conf": f"{_CONF}/conf.d/20-tidegate.conf",
            files / "advanced.config": f"{_CONF}/advanced.config",
            files / "definitions": f"{_CONF}/definitions",
            self._cookie: _COOKIE,
        }
        volumes = [part for here, there in mounts.items() for part in ("--volume", f"{here}:{there}:ro")]
        aliases = ["--network-alias", host, "--network-alias", NODES]
        # Where no server of names answers, each look for a node that is gone would take seconds.
        names = ["--name", self.name(number), "--hostname", host, "--network", self.network, "--dns", "127.0.0.1"]
        return [*names, *aliases, "--env", f"RABBITMQ_NODENAME=rabbit@{host}", *volumes]

    @cached_property
    def _cookie(self) -> Path:
        path = self.folder / "cookie"
        path.write_bytes(erlang_cookie(self.stack.vault.key).get_secret_value())
        # As Swarm gives a secret: to the image's own user alone.
        command = "chown rabbitmq: /cookie; chmod 400 /cookie"
        run_docker("run", "--rm", "--user", "0", "--volume", f"{path}:/cookie", self.image, "sh", "-c", command)
        return path

    def name(self, number: int) -> str:
        return f"{self.network}-{number}"

    def kill(self, number: int) -> None:
        run_docker("kill", "--signal", "KILL", self.name(number))

    def broker(self, number: int) -> Broker:
        """Return a node as this machine reaches it."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = run_docker("inspect", "--format", form, self.name(number)).stdout.strip()
        return Broker(address, AMQP_PORT, MQTT_PORT, MANAGEMENT_PORT, administrator(self.stack.vault.key))

    def wait(self, *numbers: int) -> None:
        """Wait until these nodes, and no others, run as one broker."""
        wait_until(lambda: self.count(numbers) == len(numbers), seconds=_FORMED_SECONDS, what="one broker")

    def count(self, numbers: Sequence[int]) -> int:
        """Return how many nodes run, as these have it; none while they do not agree."""
        found = set()
        for number in numbers:
            with suppress(BrokerError):
                found.add(sum(bool(one.get("running")) for one in self.broker(number).request("GET", "/api/nodes")))
        return found.pop() if len(found) == 1 else 0

    def queues(self, number: int) -> dict[str, dict[str, Any]]:
        """Return what a node tells of each queue."""
        return {str(one["name"]): one for one in self.broker(number).request("GET", "/api/queues/%2F")}

    def remove(self) -> None:
        containers = [self.name(number) for number in range(1, len(list_nodes(self.settings)) + 1)]
        run_docker("rm", "--force", "--volumes", *containers, check=False)
        run_docker("network", "rm", self.network, check=False)

    def tell_logs(self, number: int, lines: int = 40) -> str:
        log = run_docker("logs", "--tail", str(lines), self.name(number), check=False)
        return log.stdout + log.stderr


@contextmanager
def open_nodes(workspace: Workspace, folder: Path, count: int = 3) -> Iterator[Nodes]:
    """Have a network for the nodes of a broker, and remove all at the end; none is started yet."""
    nodes = Nodes(folder, open_stack(StackWorkspace(workspace.root)), f"tidegate-nodes-{uuid4().hex[:8]}")
    nodes.render(count)
    run_docker("network", "create", nodes.network)
    try:
        yield nodes
    finally:
        nodes.remove()


def connect(*brokers: Broker) -> pika.BlockingConnection:
    """Connect to one of some nodes, whichever takes it first."""
    parameters = [pika.URLParameters(f"{one.amqp_url}?heartbeat=5&socket_timeout=3") for one in brokers]
    for one in parameters:
        # Milliseconds until what was sent must have arrived: a node without power says nothing.
        one.tcp_options = {"TCP_USER_TIMEOUT": 5000}
    return pika.BlockingConnection(parameters)


class Load(threading.Thread):
    """Publishes numbered messages, each once the one before is confirmed, to whichever node takes them."""

    def __init__(
        self, brokers: list[Broker], place: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        super().__init__(daemon=True)
        self._brokers, self._place, self._stopped = brokers, place, threading.Event()
        self.confirmed: list[float] = []

    def run(self) -> None:
        with self._place():
            self._publish_on()

    def _publish_on(self) -> None:
        while not self._stopped.is_set():
            with suppress(AMQPError, OSError), connect(*self._brokers) as connection:
                channel = connection.channel()
                channel.confirm_delivery()
                while not self._stopped.is_set():
                    body = str(len(self.confirmed)).encode()
                    channel.basic_publish("", QUEUE, body, PERSISTENT, mandatory=True)
                    self.confirmed.append(time.monotonic())
                    self._stopped.wait(1 / _RATE)
            self._brokers.append(self._brokers.pop(0))

    def stop(self) -> None:
        self._stopped.set()
        self.join(30)

    @property
    def bodies(self) -> set[str]:
        return set(map(str, range(len(self.confirmed))))

    @property
    def longest_pause(self) -> float:
        return max(later - earlier for earlier, later in itertools.pairwise(self.confirmed))


def read_all(broker: Broker, queue: str) -> list[tuple[str, bytes]]:
    """Take all messages of a queue: their routing keys and bodies."""
    with connect(broker) as connection:
        channel, found = connection.channel(), []
        while (delivery := channel.basic_get(queue, auto_ack=True))[0]:
            found.append((delivery[0].routing_key, delivery[2]))
        return found
