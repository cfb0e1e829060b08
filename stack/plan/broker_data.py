"""The broker's data: in which volume it is, of which RabbitMQ, and whether that is the one that is to be started."""

from collections.abc import Sequence
from dataclasses import dataclass

from stack.config.settings import Settings
from stack.plan.image import Ground, split_reference
from stack.plan.version import explain_step, read_series

# How the names of all volumes begin in which a broker of a project may have its data.
VOLUME = "rabbitmq-data"

# The RabbitMQ of each release's package.
_VERSIONS = {"jammy": "3.9", "noble": "3.12", "bookworm": "3.10", "trixie": "4.0"}


@dataclass(frozen=True)
class BrokerData:
    """A volume, by Compose's name, and the version of the RabbitMQ that wrote to it last; empty if it is not known."""

    volume: str
    version: str


def name_volume(ground: Ground) -> str:
    """Name the volume of the broker's data: one for each source of images, since they may not read each other's."""
    return VOLUME if ground.is_registry else f"{VOLUME}-{ground.archive.codename}"


def find_wanted_data(settings: Settings, ground: Ground) -> BrokerData:
    """Return the volume that the broker is to have, and its RabbitMQ as far as the name of its image tells."""
    if ground.is_registry:
        return BrokerData(VOLUME, _read_tag(settings.images.rabbitmq))
    return BrokerData(name_volume(ground), _VERSIONS.get(ground.archive.codename, ""))


def guess_version(volume: str) -> str:
    """Return the RabbitMQ of a volume of packages; nothing for one of a registry's image."""
    return _VERSIONS.get(volume.removeprefix(f"{VOLUME}-"), "")


def explain_others(project: str, wanted: BrokerData, others: Sequence[BrokerData], *, has_data: bool) -> str:
    """Say what to do when other volumes hold data of the broker; `has_data` says that the wanted one does too."""
    if not others:
        return ""
    names = " and ".join(_describe(project, one) for one in others)
    forget = " ".join(f"{project}_{one.volume}" for one in others)
    if has_data:
        return (
            f"The broker's data is in {project}_{wanted.volume}, and older data is in {names}. Look at the older with "
            "the `images` of stack.yaml that it was made with, "
            f"or forget it: docker volume rm {forget}"
        )
    return (
        f"The broker's queues and messages are in {names}, and what `images` in stack.yaml says now would start with "
        f"an empty volume, {project}_{wanted.volume}. `invoke upgrade` takes them along; the older `images` leave them "
        f"where they are; `docker volume rm {forget}` forgets them."
    )


def explain_change(data: BrokerData, wanted: BrokerData) -> str:
    """Say what to do when the broker to be started is of another series than its data; nothing if it is of the same."""
    before, after = read_series(data.version), read_series(wanted.version)
    if before is None or after is None or before == after:
        return ""
    if problem := explain_step(data.version, wanted.version):
        return problem
    return (
        f"The broker's data is that of RabbitMQ {data.version}, and {wanted.version} is to be started, from which "
        "there is no way back. Make a backup (`invoke backup`), then type `invoke upgrade`, which prepares the data."
    )


def _describe(project: str, data: BrokerData) -> str:
    version = f" (RabbitMQ {data.version})" if data.version else ""
    return f"{project}_{data.volume}{version}"


def _read_tag(image: str) -> str:
    """Return the version in a tag such as 4.3-management."""
    version = split_reference(image)[1].partition("-")[0]
    return version if read_series(version) else ""
