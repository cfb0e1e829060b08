"""The broker's data: in which volume it is, of which RabbitMQ, and whether that is the one that is to be started."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stack.config.settings import Settings
from stack.plan.image import BaseImages, split_reference

# The series to which each may be upgraded in place, as RabbitMQ's page on upgrades has them. Of a later series than
# these it is only known that the series before it will do.
_NEXT = {
    (3, 8): ((3, 9),),
    (3, 9): ((3, 10),),
    (3, 10): ((3, 11),),
    (3, 11): ((3, 12),),
    (3, 12): ((3, 13),),
    (3, 13): ((4, 0), (4, 1), (4, 2)),
    (4, 0): ((4, 1), (4, 2)),
    (4, 1): ((4, 2),),
    (4, 2): ((4, 3),),
}
_KNOWN = sorted({*_NEXT, *(one for found in _NEXT.values() for one in found)})
_MOST_STEPS = 20
_VERSION = re.compile(r"(\d+)\.(\d+)")

Series = tuple[int, int]


def read_series(version: str) -> Series | None:
    """Return the series of a version: 4.0.5 is of (4, 0); nothing for a text that is no version."""
    match = _VERSION.match(version.strip())
    return (int(match[1]), int(match[2])) if match else None


def find_path(old: Series, new: Series) -> tuple[Series, ...] | None:
    """Return the series through which data goes from one to another, both included, by the fewest steps.

    Nothing if there is no way, such as back to an older one.
    """
    if old == new:
        return (old,)
    paths: list[tuple[Series, ...]] = [(old,)]
    while paths:
        path = paths.pop(0)
        for one in sorted(_list_next(path[-1]), reverse=True):
            if one == new:
                return (*path, one)
            if one < new and len(path) < _MOST_STEPS:
                paths.append((*path, one))
    return None


def explain_step(old: str, new: str) -> str:
    """Return why data of one version cannot be read by another, and what can; nothing if it can."""
    before, after = read_series(old), read_series(new)
    if before is None or after is None:
        return ""
    path = find_path(before, after)
    if path is None and after < before:
        return (
            f"RabbitMQ {new} does not read the data of {old}, which is newer. Take an image of {_name(before)} or "
            "later (`images.rabbitmq` in stack.yaml, or a newer release of this system)."
        )
    if path is None:
        return f"No way is known from the data of RabbitMQ {old} to {new}. Take an image of {_name(before)}."
    if len(path) > 2:
        way = ", then ".join(_name(one) for one in path[1:])
        return (
            f"RabbitMQ {new} does not read the data of {old} at once. Go by way of {way}: set `images.rabbitmq` in "
            f"stack.yaml to rabbitmq:{_name(path[1])}-management, and type `invoke upgrade`, for each."
        )
    return ""


def needs_feature_flags(old: str, new: str) -> bool:
    """Return whether all stable feature flags are to be enabled before the step: whenever the series changes."""
    return read_series(old) != read_series(new)


def _list_next(series: Series) -> tuple[Series, ...]:
    if series in _NEXT:
        return _NEXT[series]
    # A series that came after this was written is taken to follow the one before it.
    return ((series[0], series[1] + 1),) if series >= _KNOWN[-1] else ()


def _name(series: Series) -> str:
    return f"{series[0]}.{series[1]}"


# How the names of all volumes begin in which a broker of a project may have its data.
VOLUME = "rabbitmq-data"

# The RabbitMQ of each release's package.
_VERSIONS = {"jammy": "3.9", "noble": "3.12", "bookworm": "3.10", "trixie": "4.0"}


@dataclass(frozen=True)
class BrokerData:
    """A volume, by Compose's name, and the version of the RabbitMQ that wrote to it last; empty if it is not known."""

    volume: str
    version: str
    nodes: int = 1
    """How many nodes have been one broker."""


def name_volume(base_images: BaseImages, cluster: str = "") -> str:
    """Name the volume of the broker's data: one for each source of images, since they may not read each other's.

    Nodes of a cluster read none of an earlier cluster, which may be left on their machines.
    """
    name = VOLUME if base_images.is_registry else f"{VOLUME}-{base_images.archive.codename}"
    return f"{name}-{cluster}" if cluster else name


def find_wanted_data(settings: Settings, base_images: BaseImages) -> BrokerData:
    """Return the volume that the broker is to have, and its RabbitMQ as far as the name of its image tells."""
    if base_images.is_registry:
        return BrokerData(VOLUME, _read_tag(settings.images.rabbitmq))
    return BrokerData(name_volume(base_images), _VERSIONS.get(base_images.archive.codename, ""))


def guess_version(volume: str) -> str:
    """Return the RabbitMQ of a volume of packages; nothing for one of a registry's image."""
    return _VERSIONS.get(volume.removeprefix(f"{VOLUME}-"), "")


def explain_others(project: str, wanted: BrokerData, *, others: Sequence[BrokerData], has_data: bool) -> str:
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


def explain_fewer(noted: int, wanted: int) -> str:
    """Say what to do where a broker is to have fewer nodes than it has; nothing where not."""
    if wanted >= noted:
        return ""
    return (
        f"The broker has {noted} nodes, and broker.nodes in stack.yaml is {wanted}: queues want more than half of "
        f"{noted}. Set it to {noted} again; or type `invoke down --volumes`, which deletes all that the broker has."
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
