"""What a function's image stands on: the processor's image, a base of its author's, or Nuclio's own processor."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from stack.config.function import PROCESSOR_ANNOTATION, FunctionConfig
from stack.config.settings import Processor, Settings
from stack.plan.image import Ground
from stack.plan.python import Python, choose_python

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
class Foundation:
    """What an image stands on; `base` is empty where that is the processor's image, named by a hash of its recipe."""

    kind: Kind
    python: Python
    label: str
    base: str = ""
    onbuild: str = ""
    health_client: str = ""


def lay_foundation(config: FunctionConfig, settings: Settings, ground: Ground) -> Foundation:
    """Choose what a function's image stands on."""
    build, runtime = config.spec.build, config.spec.runtime
    label = settings.images.nuclio
    if chosen_processor(config, settings) is Processor.NUCLIO:
        version = runtime.partition(":")[2] or _NUCLIO_PYTHON
        registry = build.base_image_registry.rstrip("/") or _NUCLIO_REGISTRY
        prefix = f"{build.base_image_registry.rstrip('/')}/" if build.base_image_registry else settings.images.mirror
        base = build.base_image or f"{prefix}python:{version}"
        return Foundation(
            Kind.NUCLIO,
            Python(base, version, version),
            label,
            base=base,
            onbuild=_onbuild_image(build.onbuild_image, registry, label),
            health_client=f"{registry}/{_HEALTH_CLIENT}-{_ARCHITECTURE}",
        )
    if build.base_image:
        supplier = choose_python("python", settings, ground)
        return Foundation(Kind.AUTHOR, replace(supplier, version=""), label, base=build.base_image)
    return Foundation(Kind.PROCESSOR, choose_python(runtime, settings, ground), label)


def chosen_processor(config: FunctionConfig, settings: Settings) -> Processor:
    """Return the processor of a function: as its annotation says, or as all others."""
    return Processor(config.metadata.annotations.get(PROCESSOR_ANNOTATION, settings.processor))


def _onbuild_image(template: str, registry: str, label: str) -> str:
    """Fill in Nuclio's template of the image that holds its processor."""
    if not template:
        return f"{registry}/{_ONBUILD}:{label}-{_ARCHITECTURE}"
    return _ARCHITECTURE_FIELD.sub(lambda _: _ARCHITECTURE, _LABEL_FIELD.sub(lambda _: label, template))
