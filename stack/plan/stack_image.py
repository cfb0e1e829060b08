"""The images of the stack and of functions: their recipes, and their names, which are hashes of these."""

from functools import cache

from stack.config.settings import Settings
from stack.contract import FEEDBACK_FOLDER
from stack.plan import image, notify, registry
from stack.plan.base_image import BaseImage, Kind, lay_base_image
from stack.plan.code_entry import runs_as_is
from stack.plan.dockerfile import HEALTH_CHECK, ca_context, render_package
from stack.plan.function import FunctionPlan, processor_document
from stack.plan.image import BaseImages
from stack.plan.inputs import Inputs
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.stack import (
    is_nuclio,
    nuclio_image,
)
from stack.plan.store import SERVICE as STORE
from stack.plan.template import Files, fill

# Servers whose images are built where no registry has them.
_SERVERS = ("rabbitmq", "gateway")


def render_images(inputs: Inputs) -> Files:
    """Render the recipes of the images that all functions, and the broker, stand on."""
    return dict(_render_images(inputs.settings, inputs.base_images, has_alertmanager=inputs.has_alertmanager))


def render_function(plan: FunctionPlan, inputs: Inputs) -> Files:
    """Render what a function's image is built with, besides its own files."""
    if runs_as_is(plan.function):
        return {f"functions/{plan.name}/processor.yaml": processor_document(plan).encode()}
    base_image = find_base_image(plan, inputs)
    processor = supplier_image(inputs, base_image)
    files = render_package(plan, base_image, processor=processor, has_ca=inputs.base_images.has_ca)
    return {f"functions/{plan.name}/{path}": content for path, content in files.items()}


def find_base_image(plan: FunctionPlan, inputs: Inputs) -> BaseImage:
    """Return what a function's image stands on."""
    return lay_base_image(plan.function.config, inputs.settings, base_images=inputs.base_images)


def processor_image(inputs: Inputs, base: str = "") -> str:
    """Name the image of the processor, on another base than the usual if one is given: a hash of recipe and code."""
    files = render_images(inputs)
    other = [base] if base not in ("", image.python_base(inputs.settings, inputs.base_images)) else []
    parts = (
        files["images/processor/Dockerfile"],
        files["images/processor/processor"],
        inputs.base_images.processor_digest,
    )
    return f"{image.PROCESSOR}:{image.digest([*parts, *other, *_list_renewed(inputs.base_images)])}"


def supplier_image(inputs: Inputs, base_image: BaseImage) -> str:
    """Name the image that a function's stands on, or takes the processor from: the processor's, or a runtime's."""
    version = base_image.runtime
    layer = RUNTIMES[version.runtime].layer
    if not layer:
        return processor_image(inputs, version.image)
    processor = processor_image(inputs)
    if base_image.kind is not Kind.PROCESSOR:
        return processor
    recipe = render_images(inputs)[f"images/{layer}/Dockerfile"]
    return f"tidegate/{layer}:{image.digest([recipe, processor, version.image])}"


def rabbitmq_image(inputs: Inputs) -> str:
    """Name the image of the broker: the registry's, or a hash of its recipe."""
    if inputs.base_images.is_registry:
        return image.rabbitmq_base(inputs.settings, inputs.base_images)
    return f"{image.RABBITMQ}:{image.digest([render_images(inputs)['images/rabbitmq/Dockerfile']])}"


def gateway_image(inputs: Inputs) -> str:
    """Name the image of the gateway: the registry's, or a hash of its recipe."""
    if inputs.base_images.is_registry:
        return image.haproxy_base(inputs.settings, inputs.base_images)
    return f"{image.GATEWAY}:{image.digest([render_images(inputs)['images/gateway/Dockerfile']])}"


def store_image(inputs: Inputs) -> str:
    """Name the image of the store of readings: the registry's, or a hash of its recipe."""
    if inputs.base_images.is_registry:
        return image.store_base(inputs.settings, inputs.base_images)
    return f"{image.STORE}:{image.digest([render_images(inputs)['images/victoria-metrics/Dockerfile']])}"


def vmalert_image(inputs: Inputs) -> str:
    """Name the image of vmalert: the registry's, or that of the store, whose package has it."""
    base_images = inputs.base_images
    return image.vmalert_base(inputs.settings, base_images) if base_images.is_registry else store_image(inputs)


def rule_test_image(inputs: Inputs) -> str:
    """Name the image of vmalert-tool: the registry's beside that of vmalert, or the store's, whose package has it."""
    image_name = vmalert_image(inputs)
    name, tag = image.split_reference(image_name)
    return f"{name}-tool:{tag}" if inputs.base_images.is_registry else image_name


def alertmanager_image(inputs: Inputs) -> str:
    """Name the image of Alertmanager: the registry's, or a hash of its recipe."""
    if inputs.base_images.is_registry:
        return image.alertmanager_base(inputs.settings, inputs.base_images)
    recipe = render_images(inputs)[f"images/{notify.SERVICE}/Dockerfile"]
    return f"{image.ALERTMANAGER}:{image.digest([recipe])}"


def registry_image(inputs: Inputs) -> str:
    """Name the image of a Swarm's registry: another registry's, or a hash of its recipe."""
    if inputs.base_images.is_registry:
        return image.registry_base(inputs.settings, inputs.base_images)
    recipe = render_images(inputs)[f"images/{registry.SERVICE}/Dockerfile"]
    return f"{image.REGISTRY}:{image.digest([recipe])}"


def control_image(inputs: Inputs) -> str:
    """Name the image in which Tidegate's own programs run: a hash of its recipe and of their libraries."""
    recipe = render_images(inputs)["images/control/Dockerfile"]
    return f"{image.CONTROL}:{image.digest([recipe, inputs.home.libraries, *_list_renewed(inputs.base_images)])}"


def _list_renewed(base_images: BaseImages) -> list[str]:
    """Return what tells a base that was pulled again from the one before it, which had the same name."""
    return [base_images.renewed] if base_images.is_registry and base_images.renewed else []


def dashboard_image(inputs: Inputs) -> str:
    """Name the image of the dashboard: that of Tidegate's own programs, or Nuclio's."""
    if is_nuclio(inputs.settings):
        return nuclio_image(inputs.settings, inputs.home.architecture)
    return control_image(inputs)


def stack_images(inputs: Inputs) -> tuple[str, ...]:
    """Name the images that the stack itself runs, and the one that functions stand on."""
    own = [rabbitmq_image(inputs), gateway_image(inputs), processor_image(inputs), dashboard_image(inputs)]
    own += [control_image(inputs)] if inputs.has_scaler or inputs.has_devices or inputs.mdns_names else []
    own += [store_image(inputs)] if inputs.settings.has_store else []
    own += [vmalert_image(inputs)] if inputs.has_vmalert else []
    own += [alertmanager_image(inputs)] if inputs.has_alertmanager else []
    own += [registry_image(inputs)] if inputs.settings.has_own_registry else []
    own += [image.grafana_base(inputs.settings, inputs.base_images)] if inputs.settings.data.grafana else []
    return tuple(own)


def function_image(plan: FunctionPlan, inputs: Inputs) -> str:
    """Name the image of a function: its own, or a hash of its files, its configuration and all that it stands on."""
    if runs_as_is(plan.function):
        return plan.spec.image
    rendered = render_function(plan, inputs)
    parts: list[str | bytes] = [part for path in sorted(rendered) for part in (path, rendered[path])]
    files = (*plan.function.files, *plan.function.shared)
    parts += [text for file in files for text in (file.path, file.digest)]
    parts += plan.spec.build.flags
    return f"{plan.repository}:{image.digest(parts)}"


@cache
def _render_images(settings: Settings, base_images: BaseImages, *, has_alertmanager: bool) -> Files:
    context = {
        "base": image.python_base(settings, base_images),
        "is_registry": base_images.is_registry,
        "python": base_images.archive.python,
        "health_check": HEALTH_CHECK,
        "packages": f"{base_images.archive.docker} git",
        "npm": image.NPM,
        "feedback_folder": FEEDBACK_FOLDER,
        **ca_context(base_images.has_ca),
    }
    layers = (f"{runtime.layer}/Dockerfile" for runtime in RUNTIMES.values() if runtime.layer)
    names = ("processor/Dockerfile", "processor/processor", "control/Dockerfile", *layers)
    files = {path: fill(path, context) for path in (f"images/{name}" for name in names)}
    wanted = {STORE: settings.has_store, notify.SERVICE: has_alertmanager, registry.SERVICE: settings.has_own_registry}
    servers = () if base_images.is_registry else (*_SERVERS, *(name for name, is_there in wanted.items() if is_there))
    files |= {path: fill(path, context) for path in (f"images/{name}/Dockerfile" for name in servers)}
    return files
