"""Upgrades: the broker's data is found again in another volume, and base images are made again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from stack.docker.volume import create_volume, helper, list_volumes
from stack.plan.broker_data import BrokerData
from stack.rabbitmq.data import load_data, note_data
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.workspace import Workspace, run_docker

QUEUE = "up-queue"
OLDER, MESSAGES = "rabbitmq-data", 100


@pytest.fixture
def stack(fresh_workspace: Workspace) -> Iterator[Workspace]:
    fresh_workspace.invoke("up")
    yield fresh_workspace
    fresh_workspace.invoke("down", "--volumes", "--yes", check=False)


def count(workspace: Workspace) -> int:
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        return int(connection.channel().queue_declare(QUEUE, passive=True).method.message_count)


def publish(workspace: Workspace) -> None:
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(MESSAGES):
            channel.basic_publish("", QUEUE, b"%d" % number, pika.BasicProperties(delivery_mode=2))


def put_into_older_volume(workspace: Workspace) -> str:
    """Give the broker's data the volume that it has with images of a registry; return the name of its own."""
    project = workspace.project
    (own,) = [one.name for one in list_volumes(project) if one.short_name.startswith(OLDER)]
    image = workspace.inspect("rabbitmq-mqtt")["Config"]["Image"]
    workspace.invoke("down")
    older = create_volume(project, OLDER)
    with helper(project, image, {"/from:ro": own, "/to": older.name}) as container:
        run_docker("exec", container, "cp", "-a", "/from/.", "/to/")
    return own


@pytest.mark.slow
def test_data_in_another_volume_is_found_and_taken_along(stack: Workspace) -> None:
    state = StackWorkspace(stack.root)
    noted = load_data(state)
    assert noted
    assert noted.version.startswith("4.")
    assert all("image_created" in one for one in json.loads(stack.invoke("status", "--json").stdout))
    assert "The base images were made" in stack.invoke("status").stderr
    publish(stack)
    own = put_into_older_volume(stack)
    # Both hold data: somebody has to say which is meant.
    for task in ("plan", "up"):
        refused = stack.invoke(task, check=False)
        assert (refused.returncode, f"docker volume rm {stack.project}_{OLDER}" in refused.stderr) == (1, True)
    # Only the older does.
    run_docker("volume", "rm", own)
    note_data(state, BrokerData(OLDER, noted.version))
    refused = stack.invoke("up", check=False)
    assert (refused.returncode, "`invoke upgrade` takes them along" in refused.stderr) == (1, True)
    assert stack.containers() == []
    planned = stack.invoke("upgrade", "--dry-run")
    assert f"from {OLDER} to {noted.volume}" in planned.stdout
    stack.invoke("upgrade", "--yes")
    assert count(stack) == MESSAGES
    assert [one.name for one in list_volumes(stack.project) if one.short_name.startswith(OLDER)] == [own]
    assert load_data(state) == BrokerData(noted.volume, noted.version)
    assert stack.invoke("plan").returncode == 0
    # Data of an older series is prepared before another RabbitMQ reads it.
    note_data(state, BrokerData(noted.volume, "3.13.7"))
    refused = stack.invoke("up", check=False)
    assert (refused.returncode, "type `invoke upgrade`, which prepares the data" in refused.stderr) == (1, True)
    assert "RabbitMQ 3.13.7 to 4" in stack.invoke("upgrade", "--yes").stdout
    assert count(stack) == MESSAGES
    # Data of a newer one is not read.
    note_data(state, BrokerData(noted.volume, "4.9.0"))
    refused = stack.invoke("up", check=False)
    assert (refused.returncode, "which is newer" in refused.stderr) == (1, True)
    note_data(state, noted)


def test_upgrade_without_a_network_leaves_all_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    """What stands on the older bases can still be made and started."""
    maker = tmp_path / "mmdebstrap"
    maker.write_text("#!/bin/sh\necho Could not resolve deb.debian.org >&2\nexit 25\n")
    maker.chmod(0o755)
    offline = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):
        refused = workspace.invoke("upgrade", "--rebuild", "--yes", env=offline, check=False)
        assert refused.returncode == 1 and "Could not resolve" in refused.stderr
    assert "rabbitmq-mqtt" in workspace.invoke("up", env=offline).stdout
