"""Images: what each is made of. A tag is a hash of all that goes into it, so nothing is built twice."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from stack.config.function import PROCESSOR_ANNOTATION, FunctionConfig
from stack.config.settings import ImageSource, Processor, Settings

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
    return _base(settings.images.python, settings, base_images)


def rabbitmq_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that the broker is, or is built on."""
    return _base(settings.images.rabbitmq, settings, base_images)


def split_reference(name: str) -> tuple[str, str]:
    """Split an image's name into its repository and its tag; a colon before a slash is a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def haproxy_base(settings: Settings, base_images: BaseImages) -> str:
    """Name the image that the gateway is, or is built on."""
    return _base(settings.images.haproxy, settings, base_images)


def _base(name: str, settings: Settings, base_images: BaseImages) -> str:
    return (
        f"{settings.images.mirror}{name}"
        if base_images.is_registry
        else debian_image(base_images.archive, base_images.renewed)
    )


# The processor and cronsim, by which it reads cron's schedules, need datetime.UTC and StrEnum.
LOWEST = (3, 11)
# Labels of a function's image, which its containers have too: the version that was asked for, and the one that it has.
WANTED_LABEL = "io.tidegate.python.wanted"
PYTHON_LABEL = "io.tidegate.python"

_TAG = re.compile(r"(?<=:)(3\.\d+)(\.\d+)?(?=$|-)")


@dataclass(frozen=True)
class Python:
    """A Python: the image that has it, its version where that is known, and the version that was wanted."""

    image: str
    version: str
    wanted: str

    @property
    def is_as_wanted(self) -> bool:
        """Return whether the author gets what was asked for, or asked for nothing."""
        return not self.wanted or self.wanted == self.version


def choose_python(runtime: str, settings: Settings, base_images: BaseImages) -> Python:
    """Choose the image for a runtime such as `python:3.12`.

    A registry has one for each version; packages have the release's own. A version below the lowest that the processor
    runs on is treated as one that cannot be had.
    """
    wanted = runtime.partition(":")[2]
    there = _TAG.search(settings.images.python) if base_images.is_registry else None
    if there and wanted and _is_high_enough(wanted):
        return Python(_TAG.sub(wanted, python_base(settings, base_images), count=1), wanted, wanted)
    version = there[1] if there else ("" if base_images.is_registry else base_images.archive.python_version)
    return Python(python_base(settings, base_images), version, wanted)


def explain_python(python: Python) -> str:
    """Return a sentence for a person whose function does not get the Python that was asked for."""
    if python.is_as_wanted:
        return ""
    there = f"Python {python.version}" if python.version else "the Python that there is"
    if not _is_high_enough(python.wanted):
        lowest = ".".join(map(str, LOWEST))
        return f"asks for Python {python.wanted} and runs on {there}: the processor needs {lowest} or newer"
    return f"asks for Python {python.wanted} and runs on {there}, the only one that images.source offers here"


def _is_high_enough(version: str) -> bool:
    return tuple(map(int, version.split("."))) >= LOWEST


# What a runtime without a version is to Nuclio.
_NUCLIO_PYTHON = "3.9"
_NUCLIO_REGISTRY = "quay.io"
_ONBUILD = "nuclio/handler-builder-python-onbuild"
# The HTTP client of Nuclio's health checks.
_HEALTH_CLIENT = "nuclio/uhttpc:0.0.1"
# BuildKit's own argument: amd64, arm64.
_ARCHITECTURE = "${TARGETARCH}"
_LABEL_FIELD, _ARCHITECTURE_FIELD = re.compile(r"\{\{\s*\.Label\s*\}\}"), re.compile(r"\{\{\s*\.Arch\s*\}\}")


class Kind(StrEnum):
    """Where a function's processor comes from."""

    PROCESSOR = "processor"
    """It is in the base."""
    AUTHOR = "author"
    """It is put on a base of the author's."""
    NUCLIO = "nuclio"
    """It is Nuclio's, and put on Nuclio's base."""


@dataclass(frozen=True)
class BaseImage:
    """What an image stands on; `base` is empty where that is the processor's image, named by a hash of its recipe."""

    kind: Kind
    python: Python
    label: str
    base: str = ""
    onbuild: str = ""
    health_client: str = ""


def lay_base_image(config: FunctionConfig, settings: Settings, base_images: BaseImages) -> BaseImage:
    """Choose what a function's image stands on."""
    build, runtime = config.spec.build, config.spec.runtime
    label = settings.images.nuclio
    if chosen_processor(config, settings) is Processor.NUCLIO:
        version = runtime.partition(":")[2] or _NUCLIO_PYTHON
        registry = build.base_image_registry.rstrip("/") or _NUCLIO_REGISTRY
        prefix = f"{build.base_image_registry.rstrip('/')}/" if build.base_image_registry else settings.images.mirror
        base = build.base_image or f"{prefix}python:{version}"
        return BaseImage(
            Kind.NUCLIO,
            Python(base, version, version),
            label,
            base=base,
            onbuild=_onbuild_image(build.onbuild_image, registry, label),
            health_client=f"{registry}/{_HEALTH_CLIENT}-{_ARCHITECTURE}",
        )
    if build.base_image:
        supplier = choose_python("python", settings, base_images)
        return BaseImage(Kind.AUTHOR, replace(supplier, version=""), label, base=build.base_image)
    return BaseImage(Kind.PROCESSOR, choose_python(runtime, settings, base_images), label)


def chosen_processor(config: FunctionConfig, settings: Settings) -> Processor:
    """Return the processor of a function: as its annotation says, or as all others."""
    return Processor(config.metadata.annotations.get(PROCESSOR_ANNOTATION, settings.processor))


def _onbuild_image(template: str, registry: str, label: str) -> str:
    """Fill in Nuclio's template of the image that holds its processor."""
    if not template:
        return f"{registry}/{_ONBUILD}:{label}-{_ARCHITECTURE}"
    return _ARCHITECTURE_FIELD.sub(lambda _: _ARCHITECTURE, _LABEL_FIELD.sub(lambda _: label, template))
