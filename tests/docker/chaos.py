"""Chaos: a function under numbered messages, an actor who breaks things, and what became of each number."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pika
from pika.exceptions import AMQPError

from tests.docker.workspace import Broker, Workspace, fetch, run_docker, wait_until

NAME = "chaos"
SERVICE = f"function-{NAME}"
QUEUE = "chaos"
EVIDENCE = "chaos-evidence"
DEAD = f"{QUEUE}.dead"

CONFIG = """\
spec:
  handler: main:handler
  eventTimeout: 2s
  env:
    - name: BROKER_URL
      valueFrom: {secretKeyRef: {name: broker, key: url}}
  triggers:
    numbers:
      kind: rabbit-mq
      url: amqp://guest:guest@rabbitmq-mqtt:5672
      numWorkers: 2
      attributes: {queueName: chaos, maxRetries: 2}
  build:
    commands: [pip install pika]
"""

CODE = '''\
"""Writes down each number in a durable queue, unless the message's mood is another."""

import os
import time
from pathlib import Path

import pika
from pika.exceptions import AMQPError

REVISION = 0


def init_context(context):
    connect(context.user_data)


def handler(context, event):
    number, mood = event.body["number"], event.body["mood"]
    first = not Path(f"/tmp/{number}").exists()
    Path(f"/tmp/{number}").touch()
    if mood == "raise" or (mood == "stumble" and first):
        raise ValueError(f"number {number} is in the mood to {mood}")
    if mood == "exit" and first:
        os._exit(3)
    if mood == "hang" and first:
        time.sleep(3600)
    try:
        write_down(context.user_data, number)
    except AMQPError:
        connect(context.user_data)
        write_down(context.user_data, number)


def connect(data):
    """Connect, with a limit on each wait for a broker that the network has been cut from: init_context has none."""
    parameters = pika.URLParameters(os.environ["BROKER_URL"])
    parameters.heartbeat = 0
    parameters.tcp_options = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 5, "TCP_USER_TIMEOUT": 10_000}
    data.channel = pika.BlockingConnection(parameters).channel()
    data.channel.queue_declare("chaos-evidence", durable=True)
    data.channel.confirm_delivery()


def write_down(data, number):
    properties = pika.BasicProperties(delivery_mode=2)
    data.channel.basic_publish("", "chaos-evidence", str(number).encode(), properties, mandatory=True)
'''

# How often each mood comes; the rest is handled at once.
_MOODS = {"fine": 90, "stumble": 4, "raise": 3, "exit": 2, "hang": 1}
_RATE = 40.0
# Seconds: between two deeds; how long something stays broken; until all is accounted for, at the end.
_REST, _BROKEN, _PATIENCE = (0.5, 3.0), (0.5, 3.0), 150.0


@dataclass
class Account:
    """What became of the numbers that were published."""

    published: set[int] = field(default_factory=set)
    handled: Counter[int] = field(default_factory=Counter)
    reasons: dict[int, str] = field(default_factory=dict)
    deeds: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> set[int]:
        return self.published - set(self.handled) - set(self.reasons)

    @property
    def duplicates(self) -> int:
        return sum(self.handled.values()) - len(self.handled)

    def tell(self) -> str:
        deeds = ", ".join(f"{name} {count}" for name, count in sorted(self.deeds.items()))
        return (
            f"{len(self.published)} published, {len(self.handled)} handled, {len(self.reasons)} dead letters, "
            f"{len(self.lost)} lost, {self.duplicates} duplicates; {deeds}"
        )


class Publisher:
    """Publishes numbers with confirms from a thread of its own; what was not confirmed is published again."""

    def __init__(self, url: str, random: Random) -> None:
        self.published: set[int] = set()
        self._url = url
        self._random = random
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")

    def __enter__(self) -> "Publisher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Publish no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            # The broker is away, or its queue is not there yet.
            with suppress(AMQPError, OSError), open_channel(self._url) as channel:
                self._publish(channel)
            self._stop.wait(0.3)

    def _publish(self, channel: Any) -> None:
        moods, weights = list(_MOODS), list(_MOODS.values())
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        while not self._stop.wait(1 / _RATE):
            number = len(self.published)
            (mood,) = self._random.choices(moods, weights)
            body = json.dumps({"number": number, "mood": mood}).encode()
            channel.basic_publish("", QUEUE, body, properties, mandatory=True)
            self.published.add(number)


class Actor:
    """Breaks one thing after the other, and mends it."""

    def __init__(self, workspace: Workspace, broker: Broker, random: Random) -> None:
        self._workspace = workspace
        self._broker = broker
        self._random = random
        self._revision = 0
        self.deeds: Counter[str] = Counter()
        self._known: Mapping[str, Callable[[], None]] = {
            "worker killed": self._kill_worker,
            "container killed": self._kill_container,
            "broker restarted": self._restart_broker,
            "network cut": self._cut_network,
            "redeployed": self._redeploy,
        }

    def act(self, seconds: float) -> None:
        """Do every deed in turn, each time in another order, until the time is over and each was done."""
        deadline = time.monotonic() + seconds
        names: list[str] = []
        while time.monotonic() < deadline or len(self.deeds) < len(self._known):
            time.sleep(self._random.uniform(*_REST))
            names = names or self._random.sample(list(self._known), len(self._known))
            name = names.pop()
            self._known[name]()
            self.deeds[name] += 1

    def _pause(self) -> None:
        time.sleep(self._random.uniform(*_BROKEN))

    def _kill_worker(self) -> None:
        chosen = self._random.randrange(100)
        script = f"set -- $(cat /proc/1/task/1/children); shift $(({chosen} % $#)); kill -9 $1"
        # A worker that has just died by itself is no failure of the actor.
        run_docker("exec", self._container, "sh", "-c", script, check=False)

    def _kill_container(self) -> None:
        container = self._container
        run_docker("kill", container)
        self._pause()
        run_docker("start", container)

    def _restart_broker(self) -> None:
        self._broker.stop()
        self._pause()
        self._broker.start()

    def _cut_network(self) -> None:
        network, container = f"{self._workspace.project}_default", self._container
        run_docker("network", "disconnect", network, container)
        self._pause()
        run_docker("network", "connect", "--alias", SERVICE, network, container)

    def _redeploy(self) -> None:
        self._revision += 1
        write_function(self._workspace, self._revision)
        self._workspace.note_images()
        self._workspace.invoke("deploy-function", NAME)

    @property
    def _container(self) -> str:
        (container,) = self._workspace.containers(SERVICE)
        return container


def write_function(workspace: Workspace, revision: int) -> None:
    workspace.write_function(NAME, CODE.replace("REVISION = 0", f"REVISION = {revision}"), CONFIG)


def play(workspace: Workspace, broker: Broker, *, seconds: float, seed: int) -> Account:
    """Publish and break things for a while, then wait until every number is accounted for, or none moves any more."""
    random = Random(seed)
    actor = Actor(workspace, broker, Random(random.random()))
    account = Account(deeds=actor.deeds)
    with Publisher(broker.amqp_url, Random(random.random())) as publisher:
        actor.act(seconds)
    account.published = publisher.published

    def is_complete() -> bool:
        with suppress(AMQPError):
            take_evidence(broker.amqp_url, account)
        return not account.lost

    with suppress(AssertionError):
        wait_until(is_complete, seconds=_PATIENCE)
    return account


def take_evidence(url: str, account: Account) -> None:
    """Move what the function wrote down, and its dead letters, into the account."""
    with open_channel(url) as channel:
        for _, body in drain(channel, EVIDENCE):
            account.handled[int(body)] += 1
    with open_channel(url) as channel:
        for properties, body in drain(channel, DEAD):
            account.reasons[json.loads(body)["number"]] = properties.headers.get("x-nuclio-error", "")


def drain(channel: Any, queue: str) -> Iterator[tuple[Any, bytes]]:
    """Take what waits in a queue; one that was never declared holds nothing."""
    with suppress(pika.exceptions.ChannelClosedByBroker):
        while True:
            method, properties, body = channel.basic_get(queue)
            if method is None:
                return
            yield properties, body
            channel.basic_ack(method.delivery_tag)


def describe_state(workspace: Workspace, broker: Broker) -> str:
    """Return where messages may be: the broker's queues, what each channel has in progress, and the function's log."""
    queues = [
        f"{one['name']}: {one.get('messages_ready')} ready, {one.get('messages_unacknowledged')} unacknowledged, "
        f"{one.get('consumers')} consumers"
        for one in read_management(broker, "queues")
    ]
    channels = [
        f"{one['name']}, {one.get('connection_details', {}).get('peer_host')}: "
        f"{one.get('messages_unacknowledged')} unacknowledged, {one.get('consumer_count')} consumers"
        for one in read_management(broker, "channels")
    ]
    logs = [log for name, log in workspace.tell_logs(lines=200) if SERVICE in name]
    return "\n".join(["queues:", *queues, "channels:", *channels, "the function's log:", *logs])


def read_management(broker: Broker, noun: str) -> list[dict[str, Any]]:
    status, text = fetch(f"{broker.management_url}/api/{noun}", user="guest", password="guest")
    assert status == 200, text
    return list(json.loads(text))


@contextmanager
def open_channel(url: str) -> Iterator[Any]:
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.blocked_connection_timeout = 5
    connection = pika.BlockingConnection(parameters)
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        if connection.is_open:
            connection.close()
