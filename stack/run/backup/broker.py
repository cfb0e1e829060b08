"""The broker's data in a backup: a copy of its volume as it was at one moment, and back.

RabbitMQ is paused while the copy is made, which clients see as a short delay. What is copied is what would be there
after a power cut: every message that was confirmed, with its queue, order, headers and properties as they are; one that
a function held comes back. RabbitMQ itself reads it again, whatever the type of the queue.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack import console
from stack.docker.client import execute, stream_output, unpack
from stack.docker.container import Container
from stack.docker.driver import docker_cli, explained
from stack.docker.stack import Stack
from stack.docker.volume import (
    Volume,
    clear_helpers,
    copied_volume,
    create_volume,
    helper,
    list_volumes,
    remove_volume,
)
from stack.errors import BrokerError, EngineError
from stack.plan.backup import BrokerFacts, Sample, bound_counts
from stack.plan.broker import SERVICE
from stack.plan.broker_data import name_volume
from stack.plan.stack_image import rabbitmq_image
from stack.rabbitmq.management import Broker, find_broker
from stack.run.backup.archive import encrypt

_FOLDER = "/var/lib/rabbitmq"
# Made again by anyone who starts from the data; a node that is not in a cluster needs no other's.
_COOKIE = "./.erlang.cookie"
# RabbitMQ's figures are a second old.
_FIGURES_SECONDS = 1.2


@dataclass(frozen=True)
class BrokerCopy:
    """A copy of the broker's data, in a helper container, and what is known of it."""

    facts: BrokerFacts
    container: str
    definitions: dict[str, object]

    def read(self, key: bytes) -> Iterator[bytes]:
        """Yield the copy as a compressed tar, in pieces that only the key opens."""
        tar = stream_output(self.container, "tar", "-C", "/to", f"--exclude={_COOKIE}", "-cz", ".")
        return (encrypt(key, chunk) for chunk in tar)


@contextmanager
def copied_broker(stack: Stack) -> Iterator[BrokerCopy | None]:
    """Yield a copy of the broker's data as it is now; nothing if there is no volume yet, or one for each node.

    Raises:
        EngineError: Docker refused, or there is no room for the copy.
    """
    broker = next((one for one in stack.engine.listed() if one.service == SERVICE), None)
    volume = find_volume(stack)
    if volume is None or stack.settings.broker.nodes > 1:
        yield None
        return
    image = broker.image if broker else rabbitmq_image(stack.inputs)
    paused = [broker.id] if broker and broker.is_running else []
    before, definitions = _look(stack, broker)
    if paused:
        # RabbitMQ before 4.3 has what was declared in the last seconds in memory only; later ones know no such thing.
        with suppress(EngineError):
            execute(paused[0], "rabbitmqctl", "eval", "mnesia:sync_log().")
    began = time.monotonic()
    clear_helpers(stack.settings.project)
    with copied_volume(stack.settings.project, volume.name, image=image, paused=paused) as (container, seconds):
        time.sleep(max(0.0, began + _FIGURES_SECONDS - time.monotonic()) if before else 0)
        after, _ = _look(stack, broker) if before else ({}, {})
        version = read_version(image)
        facts = BrokerFacts(
            volume=volume.short_name,
            image=image,
            version=version,
            paused_seconds=round(seconds, 2),
            queues=bound_counts(before, after),
        )
        yield BrokerCopy(facts, container, definitions)


def fetch_definitions(stack: Stack) -> dict[str, object]:
    """Return what a broker of several nodes knows besides messages; nothing where it does not answer.

    One of its nodes alone would not begin by a copy of its data, but wait for the others.
    """
    if stack.settings.broker.nodes == 1:
        return {}
    try:
        return find_broker(stack).export_definitions()
    except BrokerError as error:
        console.warn(f"{error} What was declared there besides functions and devices is not in the backup.")
        return {}


def find_volume(stack: Stack) -> Volume | None:
    """Return the broker's volume, if there is one."""
    wanted = name_volume(stack.base_images)
    return next((one for one in list_volumes(stack.settings.project) if one.short_name == wanted), None)


def fill_volume(stack: Stack, chunks: Iterator[bytes]) -> None:
    """Make the broker's volume of a copy; its owner becomes who RabbitMQ runs as in the image here.

    Raises:
        EngineError: Docker refused, or there is no room for it.
    """
    image = rabbitmq_image(stack.inputs)
    volume = create_volume(stack.settings.project, name_volume(stack.base_images))
    try:
        with helper(stack.settings.project, image, {_FOLDER: volume.name}) as container:
            unpack(container, _FOLDER, chunks)
            execute(container, "chown", "-R", "rabbitmq:rabbitmq", _FOLDER)
    except BaseException:
        remove_volume(volume.name)
        raise


def read_version(image: str) -> str:
    """Return the version of the RabbitMQ in an image."""
    with explained():
        said = docker_cli.container.run(image, ["version"], entrypoint="rabbitmqctl", networks=["none"], remove=True)
    return said.strip().splitlines()[-1]


def count_waiting(broker: Broker, queues: Iterable[str]) -> dict[str, int]:
    """Return how many messages wait in each queue, as it says itself; one that is gone is left out.

    Raises:
        BrokerError: RabbitMQ does not answer.
    """
    parameters = URLParameters(broker.amqp_url)
    parameters.client_properties = {"connection_name": "tidegate-backup"}
    found = {}
    try:
        with BlockingConnection(parameters) as connection:
            for name in queues:
                channel = connection.channel()
                with suppress(ChannelClosedByBroker):
                    found[name] = int(channel.queue_declare(name, passive=True).method.message_count)
                    channel.close()
    except (AMQPError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise BrokerError(f"RabbitMQ at {broker.host}:{broker.amqp_port}: {reason}.") from error
    return found


def _look(stack: Stack, broker: Container | None) -> tuple[dict[str, Sample], dict[str, object]]:
    """Return the broker's queues and definitions; nothing where it does not answer."""
    if broker is None or not broker.is_running:
        return {}, {}
    try:
        found = find_broker(stack)
        samples = found.samples()
        waiting = count_waiting(found, samples)
        known = {name: replace(one, waiting=waiting[name]) for name, one in samples.items() if name in waiting}
        return known, found.export_definitions()
    except BrokerError as error:
        console.warn(f"{error} Its data is in the backup all the same, and nothing tells how many messages there were.")
        return {}, {}
