"""Images: what each is made of. A tag is a hash of all that goes into it, so nothing is built twice."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from stack.config.settings import ImageSource, Settings
from stack.contract import PYTHON

PROCESSOR = "tidegate/processor"
RABBITMQ = "tidegate/rabbitmq"
GATEWAY = "tidegate/gateway"
CONTROL = "tidegate/control"
STORE = "tidegate/victoria-metrics"
ALERTMANAGER = "tidegate/alertmanager"
REGISTRY = "tidegate/registry"
DEBIAN = "tidegate/debian"

# Ubuntu 22.04's python3 is 3.10; its archive has 3.11 beside it.
_PYTHON_PACKAGES = {"jammy": "python3.11"}
# The Python of each release's package.
_PYTHON_VERSIONS = {"jammy": "3.11", "noble": "3.12", "bookworm": "3.11", "trixie": "3.13"}
# The Node.js of each release's package.
_NODE_VERSIONS = {"jammy": "12", "noble": "18", "bookworm": "18", "trixie": "20"}
# The npm that goes with a distribution's Node.js: of version 10, which runs on Node.js 18 and newer.
_NPM_VERSION = "10.9.9"
NPM = {
    "url": f"https://registry.npmjs.org/npm/-/npm-{_NPM_VERSION}.tgz",
    "sha512": "1g+6jLQvaIuB4zwvHL7yrXuXcWZwDsCtBX8bbWDqbvJSSr9nPiDDWTHNgwXR27iIcTTW7v3A57hDW9RYv2W4Yg==",
}
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
    def node_version(self) -> str:
        """Return the version of its Node.js; nothing for a release that is not known."""
        return _NODE_VERSIONS.get(self.codename, "")

    @property
    def docker(self) -> str:
        """Return the packages of Docker's command line and its plugins; without an archive those of Debian."""
        return _UBUNTU_DOCKER if any("universe" in line for line in self.sources) else _DEBIAN_DOCKER

    @property
    def has_deprecated_features(self) -> bool:
        """Return whether its RabbitMQ knows settings named deprecated_features."""
        return self.codename not in _OLD_RABBITMQ


@dataclass(frozen=True)
class BaseImages:
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
        """Return whether bases are pulled."""
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


def python_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that the processor is built on."""
    return _base(settings.images.python, settings, base_images=base_images)


def node_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that has Node.js, or that its packages are installed on."""
    return _base(settings.images.node, settings, base_images=base_images)


def rabbitmq_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that the broker is, or is built on."""
    return _base(settings.images.rabbitmq, settings, base_images=base_images)


def split_reference(name: str) -> tuple[str, str]:
    """Split an image's name into its repository and its tag; a colon before a slash is a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def find_registry(name: str) -> str:
    """Return the host that an image is pulled from."""
    host, slash, _ = name.partition("/")
    return host if slash and re.search(r"[.:]|^localhost$", host) else "registry-1.docker.io"


def haproxy_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that the gateway is, or is built on."""
    return _base(settings.images.haproxy, settings, base_images=base_images)


def store_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that the store of readings is, or is built on."""
    return _base(settings.images.victoria_metrics, settings, base_images=base_images)


def vmalert_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that vmalert is, or is built on."""
    return _base(settings.images.vmalert, settings, base_images=base_images)


def alertmanager_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that Alertmanager is, or is built on."""
    return _base(settings.images.alertmanager, settings, base_images=base_images)


def registry_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that a Swarm's registry is, or is built on."""
    return _base(settings.images.registry_server, settings, base_images=base_images)


def grafana_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that Grafana is, which is always pulled."""
    return _base(settings.images.grafana, settings, base_images=base_images)


def _base(name: str, settings: Settings, *, base_images: BaseImages) -> str:
    return (
        f"{settings.images.mirror}{name}"
        if base_images.is_registry
        else debian_image(base_images.archive, base_images.renewed)
    )


# Labels of a function's image, which its containers have too: its runtime, the version of it that was asked for, and
# the one that it has.
RUNTIME_LABEL = "io.tidegate.runtime"
WANTED_LABEL = "io.tidegate.python.wanted"
VERSION_LABEL = "io.tidegate.python"


@dataclass(frozen=True)
class RuntimeVersion:
    """A version of a runtime: the image that has it, the version where that is known, and what was wanted."""

    image: str
    version: str
    wanted: str
    runtime: str = PYTHON

    @property
    def is_as_wanted(self) -> bool:
        """Return whether the author gets what was asked for, or asked for nothing."""
        return not self.wanted or self.wanted == self.version
