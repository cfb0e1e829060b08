"""The broker's volume on this machine: found again, whatever the images are made of.

.stack/state/broker.json says which volume the broker has, and which RabbitMQ wrote to it last.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

from stack.docker.container import Container
from stack.docker.stack import Stack
from stack.docker.volume import Volume, has_data, list_volumes
from stack.errors import BrokerError, ConflictError
from stack.plan.broker import SERVICE
from stack.plan.broker_data import (
    VOLUME,
    BrokerData,
    explain_change,
    explain_fewer,
    explain_others,
    find_wanted_data,
    guess_version,
)
from stack.plan.stack_image import rabbitmq_image
from stack.rabbitmq.management import find_broker
from stack.state.workspace import Workspace, parse_json, write_file


def check_data(stack: Stack, containers: Sequence[Container]) -> None:
    """Make sure that the broker to be started is the one whose data is here.

    Raises:
        ConflictError: its data is in another volume, or of a RabbitMQ that is to be upgraded with care.
    """
    project, wanted = stack.settings.project, find_wanted_data(stack.settings, stack.base_images)
    volumes = find_volumes(project)
    if any(one.short_name != wanted.volume for one in volumes):
        here = [one for one in volumes if holds_data(stack, one, containers=containers)]
        others = [describe(stack.workspace, one) for one in here if one.short_name != wanted.volume]
        if problem := explain_others(project, wanted, others=others, has_data=len(here) > len(others)):
            raise ConflictError(problem)
    own = next((one for one in volumes if one.short_name == wanted.volume), None)
    if not own:
        return
    known = describe(stack.workspace, own)
    if problem := explain_change(known, wanted) or explain_fewer(known.nodes, stack.settings.broker.nodes):
        raise ConflictError(problem)


def find_volumes(project: str) -> list[Volume]:
    """Return the volumes in which a broker of the project has, or had, its data."""
    return [one for one in list_volumes(project) if one.short_name.startswith(VOLUME)]


def holds_data(stack: Stack, volume: Volume, *, containers: Sequence[Container]) -> bool:
    """Return whether anything is in a volume; where no image is here to look with, it is taken to hold data."""
    image = find_image(stack, containers)
    return not image or has_data(volume.name, image, stack.settings.project)


def find_image(stack: Stack, containers: Sequence[Container]) -> str:
    """Return an image of RabbitMQ that is here: of the container, or the one to be started; nothing if none is."""
    names = [one.image for one in containers if one.service == SERVICE] + [rabbitmq_image(stack.bare_inputs)]
    here = stack.engine.images(names)
    return next((one for one in names if one in here), "")


def describe(workspace: Workspace, volume: Volume) -> BrokerData:
    """Return a volume and what is known of its RabbitMQ."""
    noted = load_data(workspace)
    if noted and noted.volume == volume.short_name:
        return noted
    return BrokerData(volume.short_name, guess_version(volume.short_name))


def load_data(workspace: Workspace) -> BrokerData | None:
    """Return what was noted of the broker's data; nothing where that cannot be read."""
    try:
        return parse_json(BrokerData, (workspace.state / "broker.json").read_bytes())
    except (OSError, ValueError):
        return None


def note_running_data(stack: Stack) -> None:
    """Note which RabbitMQ runs, as it says itself, and in which volume."""
    wanted = find_wanted_data(stack.settings, stack.base_images)
    try:
        version = str(find_broker(stack).request("GET", "/api/overview")["rabbitmq_version"])
    except (BrokerError, KeyError, TypeError):
        version = wanted.version
    note_data(stack.workspace, BrokerData(wanted.volume, version, stack.settings.broker.nodes))


def note_data(workspace: Workspace, data: BrokerData) -> None:
    """Note which volume the broker has, and which RabbitMQ writes to it."""
    write_file(workspace.state / "broker.json", json.dumps(asdict(data)).encode() + b"\n")
