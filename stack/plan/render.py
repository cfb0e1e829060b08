"""Render templates/ into the files of .stack/; a template's path is its output's path."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from stack.config.settings import Settings
from stack.config.source import IGNORED_FOLDERS, IGNORED_SUFFIX
from stack.plan import image
from stack.plan.broker import SERVICE, Credentials, definitions, topology
from stack.plan.dockerfile import ca_context, split_commands, write_instruction
from stack.plan.function import SECRETS, FunctionPlan, bound_queues, inline_source, processor_document
from stack.plan.image import Ground
from stack.plan.stack import FILES_LABEL, Service
from stack.plan.template import fill

COMPOSE = "compose.yaml"
# Compose's profile of functions that are not deployed.
UNDEPLOYED = "undeployed"

_FUNCTION = "functions/NAME"
_DEFINITIONS = "rabbitmq/definitions"
# What the broker has to be started anew for when it changes; functions declare the topology themselves.
_MOUNTED = ("rabbitmq/enabled_plugins", "rabbitmq/rabbitmq.conf", f"{_DEFINITIONS}/10-users.json")
_TOPOLOGY = f"{_DEFINITIONS}/20-topology.json"

Files = dict[str, bytes]


@dataclass(frozen=True)
class Inputs:
    """Everything that a rendered tree depends on."""

    settings: Settings
    ground: Ground
    credentials: Credentials
    services: tuple[Service, ...] = ()


def render(inputs: Inputs) -> Files:
    """Render the whole tree: path below .stack/ → content. The same inputs always give the same bytes."""
    files = render_broker(inputs) | render_images(inputs)
    for service in inputs.services:
        files |= render_function(service.plan, inputs)
    files[COMPOSE] = render_compose(inputs)
    return files


def render_compose(inputs: Inputs) -> bytes:
    """Render the Compose file alone."""
    context = {
        "settings": inputs.settings,
        "services": inputs.services,
        "broker": SERVICE,
        "rabbitmq_image": rabbitmq_image(inputs),
        "rabbitmq_volume": rabbitmq_volume(inputs.ground),
        "files_label": FILES_LABEL,
        "files_digest": files_digest(render_broker(inputs)),
        "secrets": _used_secrets(inputs.services),
        "undeployed": UNDEPLOYED,
    }
    return fill(COMPOSE, context)


def render_broker(inputs: Inputs) -> Files:
    """Render the files that the broker mounts."""
    deployed = [service for service in inputs.services if service.is_deployed]
    context = {
        "settings": inputs.settings,
        "definitions": definitions(inputs.credentials).rstrip(),
        "topology": topology([one for service in deployed for one in bound_queues(service.plan)]).rstrip(),
        "has_deprecated_features": inputs.ground.is_registry or inputs.ground.archive.has_deprecated_features,
    }
    return {path: fill(path, context) for path in (*_MOUNTED, _TOPOLOGY)}


def render_images(inputs: Inputs) -> Files:
    """Render the recipes of the images that all functions, and the broker, stand on."""
    return dict(_render_images(inputs.settings, inputs.ground))


def render_function(plan: FunctionPlan, inputs: Inputs) -> Files:
    """Render what a function's image is built with, besides its own files."""
    folder = f"functions/{plan.name}"
    before, after = split_commands(plan.spec.build)
    source = inline_source(plan)
    context = {
        "base": processor_image(inputs),
        "args": plan.spec.build.args,
        "before": [write_instruction(line, has_ca=inputs.ground.has_ca) for line in before],
        "after": [write_instruction(line, has_ca=inputs.ground.has_ca) for line in after],
        "source_path": source[0] if source else "",
        "title": plan.repository,
        "description": " ".join(plan.spec.description.split()),
        "ignored_folders": sorted(IGNORED_FOLDERS),
        "ignored_suffix": IGNORED_SUFFIX,
    }
    files = {
        f"{folder}/{name}": fill(f"{_FUNCTION}/{name}", context) for name in ("Dockerfile", "Dockerfile.dockerignore")
    }
    files[f"{folder}/processor.yaml"] = processor_document(plan).encode()
    if source:
        files[f"{folder}/source/{source[0]}"] = source[1]
    return files


def processor_image(inputs: Inputs) -> str:
    """Name the image of the processor: a hash of its recipe and of its code."""
    files = render_images(inputs)
    parts = (files["images/processor/Dockerfile"], files["images/processor/processor"], inputs.ground.processor_digest)
    return f"{image.PROCESSOR}:{image.digest(parts)}"


def rabbitmq_image(inputs: Inputs) -> str:
    """Name the image of the broker: the registry's, or a hash of its recipe."""
    if inputs.ground.is_registry:
        return image.rabbitmq_base(inputs.settings, inputs.ground)
    return f"{image.RABBITMQ}:{image.digest([render_images(inputs)['images/rabbitmq/Dockerfile']])}"


def stack_images(inputs: Inputs) -> tuple[str, str]:
    """Name the images of the broker and the processor."""
    return rabbitmq_image(inputs), processor_image(inputs)


def function_image(plan: FunctionPlan, inputs: Inputs) -> str:
    """Name the image of a function: a hash of its files, its configuration and all that it stands on."""
    rendered = render_function(plan, inputs)
    parts: list[str | bytes] = [part for path in sorted(rendered) for part in (path, rendered[path])]
    parts += [text for file in plan.function.files for text in (file.path, file.digest)]
    return f"{plan.repository}:{image.digest(parts)}"


def files_digest(files: Files) -> str:
    """Return a digest of the files for which the broker has to be started anew when they change."""
    return image.digest([files[path] for path in _MOUNTED])


def rabbitmq_volume(ground: Ground) -> str:
    """Name the broker's volume; releases of RabbitMQ that are far apart do not read each other's data."""
    return "rabbitmq-data" if ground.is_registry else f"rabbitmq-data-{ground.archive.codename}"


@cache
def _render_images(settings: Settings, ground: Ground) -> Files:
    context = {
        "base": image.python_base(settings, ground),
        "is_registry": ground.is_registry,
        "python": ground.archive.python,
        **ca_context(ground.has_ca),
    }
    files = {path: fill(path, context) for path in ("images/processor/Dockerfile", "images/processor/processor")}
    if not ground.is_registry:
        files["images/rabbitmq/Dockerfile"] = fill("images/rabbitmq/Dockerfile", context)
    return files


def _used_secrets(services: Sequence[Service]) -> list[tuple[str, str]]:
    used = {secret for service in services for secret in service.plan.secrets}
    return sorted(used & SECRETS)
