"""Functions' own data, and readings, in a backup: a copy of each volume as it was at one moment, and back."""

from collections.abc import Iterator

from stack.config.container import CLAIM_PREFIX
from stack.docker.client import docker_api, explained, stream_output, unpack
from stack.docker.stack import Stack
from stack.docker.volume import Volume, copied_volume, create_volume, helper, list_volumes, remove_volume
from stack.plan.device_account import VOLUME as DEVICES_VOLUME
from stack.plan.grafana import VOLUME as GRAFANA_VOLUME
from stack.plan.notify import VOLUME as ALERT_VOLUME
from stack.plan.stack_image import control_image
from stack.plan.store import VOLUME as STORE_VOLUME
from stack.run.backup.archive import encrypt

_FOLDER = "/to"


def list_claims(stack: Stack) -> tuple[Volume, ...]:
    """Return the project's volumes in which functions keep data, used still or not, and those of the stack itself.

    Raises:
        EngineError: Docker does not answer.
    """
    names = (CLAIM_PREFIX, STORE_VOLUME, ALERT_VOLUME, GRAFANA_VOLUME, DEVICES_VOLUME)
    return tuple(one for one in list_volumes(stack.settings.project) if one.short_name.startswith(names))


def read_claim(stack: Stack, name: str, *, key: bytes) -> Iterator[bytes]:
    """Yield a volume as a compressed tar, in pieces that only the key opens.

    The containers that have it are paused while it is copied.

    Raises:
        EngineError: Docker refused, or there is no room for the copy.
    """
    volume = f"{stack.settings.project}_{name}"
    image = control_image(stack.inputs)
    with copied_volume(stack.settings.project, volume, image=image, paused=_find_users(volume)) as (
        container,
        _seconds,
    ):
        for chunk in stream_output(container, "tar", "-C", _FOLDER, "-cz", "."):
            yield encrypt(key, chunk)


def fill_claim(stack: Stack, name: str, *, chunks: Iterator[bytes]) -> None:
    """Make a volume of a copy, with its owners.

    Raises:
        EngineError: Docker refused, or there is no room for it.
    """
    volume = create_volume(stack.settings.project, name)
    try:
        with helper(stack.settings.project, control_image(stack.bare_inputs), {_FOLDER: volume.name}) as container:
            unpack(container, _FOLDER, chunks)
    except BaseException:
        remove_volume(volume.name)
        raise


def _find_users(volume: str) -> list[str]:
    """Return the containers that run and have a volume."""
    with explained():
        found = docker_api().containers(filters={"volume": volume, "status": "running"})
    return [str(one["Id"]) for one in found]
