"""Images: what each is made of. A tag is a hash of all that goes into it, so nothing is built twice."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from stack.config.settings import ImageSource, Settings

PROCESSOR = "tidegate/processor"
RABBITMQ = "tidegate/rabbitmq"
GATEWAY = "tidegate/gateway"
CONTROL = "tidegate/control"
DEBIAN = "tidegate/debian"

# Ubuntu 22.04's python3 is 3.10; its archive has 3.11 beside it.
_PYTHON_PACKAGES = {"jammy": "python3.11"}
# The Python of each release's package.
_PYTHON_VERSIONS = {"jammy": "3.11", "noble": "3.12", "bookworm": "3.11", "trixie": "3.13"}
_DEBIAN_DOCKER, _UBUNTU_DOCKER = "docker-cli docker-compose docker-buildx", "docker.io docker-compose-v2 docker-buildx"
# The first RabbitMQ that knows deprecated_features is 3.13; these releases ship an older one.
_OLD_RABBITMQ = frozenset({"jammy", "noble", "bookworm"})


@dataclass(frozen=True)
class Archive:
    """The apt archive of this machine: its release, and the lines of its sources.list."""

    codename: str
    sources: tuple[str, ...]

    @property
    def python(self) -> str:
        """Return the package of the newest suitable Python."""
        return _PYTHON_PACKAGES.get(self.codename, "python3")

    @property
    def python_version(self) -> str:
        """Return the version of that Python; nothing for a release that is not known."""
        return _PYTHON_VERSIONS.get(self.codename, "")

    @property
    def docker(self) -> str:
        """Return the packages of Docker's command line and its plugins; without an archive those of Debian."""
        return _UBUNTU_DOCKER if any("universe" in line for line in self.sources) else _DEBIAN_DOCKER

    @property
    def has_deprecated_features(self) -> bool:
        """Say whether its RabbitMQ knows settings named deprecated_features."""
        return self.codename not in _OLD_RABBITMQ


@dataclass(frozen=True)
class Ground:
    """What images stand on: the chosen source, and the archive if it is Debian packages.

    `has_ca` says that builds are given certificates to trust; `processor_digest` stands for the processor's own files.
    `renewed` is the time at which bases were last made or pulled again, empty if that was never asked for: it is in
    the names of all that stands on them.
    """

    source: ImageSource
    archive: Archive
    has_ca: bool = False
    processor_digest: str = ""
    renewed: str = ""

    @property
    def is_registry(self) -> bool:
        """Say whether bases are pulled."""
        return self.source is ImageSource.REGISTRY


def digest(parts: Iterable[str | bytes]) -> str:
    """Return twelve digits that stand for the parts and their order."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:12]


def debian_image(archive: Archive, renewed: str = "") -> str:
    """Name the base that is made of the archive's packages, as they were at a time."""
    return f"{DEBIAN}:{digest((archive.codename, *archive.sources, *_list_given(renewed)))}"


def _list_given(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def python_base(settings: Settings, ground: Ground) -> str:
    """Name the image that the processor is built on."""
    return _base(settings.images.python, settings, ground)


def rabbitmq_base(settings: Settings, ground: Ground) -> str:
    """Name the image that the broker is, or is built on."""
    return _base(settings.images.rabbitmq, settings, ground)


def split_reference(name: str) -> tuple[str, str]:
    """Split an image's name into its repository and its tag; a colon before a slash is a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def haproxy_base(settings: Settings, ground: Ground) -> str:
    """Name the image that the gateway is, or is built on."""
    return _base(settings.images.haproxy, settings, ground)


def _base(name: str, settings: Settings, ground: Ground) -> str:
    return f"{settings.images.mirror}{name}" if ground.is_registry else debian_image(ground.archive, ground.renewed)
