"""What a function's image stands on: the processor's image, a base of the author's, or Nuclio's."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from stack.config.function import PROCESSOR_ANNOTATION, FunctionConfig
from stack.config.settings import Processor, Settings
from stack.plan.image import BaseImages, RuntimeVersion
from stack.plan.runtime.registry import find_runtime
from stack.plan.runtime.runtime import Runtime

_NUCLIO_REGISTRY = "quay.io"
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
    runtime: RuntimeVersion
    label: str
    base: str = ""
    onbuild: str = ""
    health_client: str = ""


def lay_base_image(config: FunctionConfig, settings: Settings, *, base_images: BaseImages) -> BaseImage:
    """Choose what a function's image stands on."""
    build, label = config.spec.build, settings.images.nuclio
    runtime = find_runtime(config.spec.runtime)
    wanted = config.spec.runtime.partition(":")[2]
    if chosen_processor(config, settings) is Processor.NUCLIO:
        return _lay_nuclio_base(config, settings, runtime=runtime)
    if build.base_image:
        supplier = runtime.choose_version("", settings, base_images)
        return BaseImage(Kind.AUTHOR, replace(supplier, version=""), label, base=build.base_image)
    return BaseImage(Kind.PROCESSOR, runtime.choose_version(wanted, settings, base_images), label)


def _lay_nuclio_base(config: FunctionConfig, settings: Settings, *, runtime: Runtime) -> BaseImage:
    build, label = config.spec.build, settings.images.nuclio
    version = config.spec.runtime.partition(":")[2] or runtime.nuclio_version
    registry = build.base_image_registry.rstrip("/") or _NUCLIO_REGISTRY
    prefix = f"{build.base_image_registry.rstrip('/')}/" if build.base_image_registry else settings.images.mirror
    base = build.base_image or prefix + runtime.nuclio_base.format(version=version)
    onbuild = build.onbuild_image or f"{registry}/{runtime.nuclio_onbuild}:{label}-{_ARCHITECTURE}"
    return BaseImage(
        Kind.NUCLIO,
        RuntimeVersion(base, version, version, runtime.name),
        label,
        base=base,
        onbuild=_onbuild_image(onbuild, label),
        health_client=f"{registry}/{_HEALTH_CLIENT}-{_ARCHITECTURE}",
    )


def chosen_processor(config: FunctionConfig, settings: Settings) -> Processor:
    """Return the processor of a function: as its annotation says, or as all others."""
    return Processor(config.metadata.annotations.get(PROCESSOR_ANNOTATION, settings.processor))


def _onbuild_image(template: str, label: str) -> str:
    """Fill in Nuclio's template of the image that holds its processor."""
    return _ARCHITECTURE_FIELD.sub(lambda _: _ARCHITECTURE, _LABEL_FIELD.sub(lambda _: label, template))
