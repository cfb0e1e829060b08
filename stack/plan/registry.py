"""The registry of a Swarm's images, and on each node what leads its engine there: a stack of their own.

The engine trusts what answers at 127.0.0.1 without TLS, as every engine does. There a forwarder answers the node alone,
and speaks to the registry by TLS, with a certificate that the registry asks for: no other machine reads or writes it.
"""

from dataclasses import dataclass

from stack.config.settings import Settings
from stack.plan.image import digest
from stack.plan.template import fill

SERVICE, FORWARDER = "registry", "registry-forwarder"
# Where each node's engine finds it.
LOCAL = "localhost"
CERTIFICATE = "/run/secrets/node.pem"
STACK_FILE = "stack.yaml"

_CONFIG, _HAPROXY = "config.yml", "haproxy.cfg"
_FOLDER = "registry"


@dataclass(frozen=True)
class RegistryPlan:
    """What the registry's stack depends on.

    `node` is the id of the node that keeps the images, `address` where others find it; `pair_file` holds the key and
    certificate that the nodes share, and `version` stands for its content.
    """

    node: str
    address: str
    registry_image: str
    gateway_image: str
    pair_file: str
    version: str


def name_stack(project: str) -> str:
    """Name the stack of the registry."""
    return f"{project}-registry"


def find_port(settings: Settings) -> int:
    """Return where the registry listens for other machines of the Swarm."""
    return settings.swarm.registry + 1


def find_prefix(settings: Settings) -> str:
    """Return what stands before the names of images that machines pull: the user's own registry, or the stack's."""
    return settings.images.registry or f"{LOCAL}:{settings.swarm.registry}"


def render_registry(plan: RegistryPlan, settings: Settings) -> dict[str, bytes]:
    """Render the stack file and its configs, which stand beside it."""
    context = {
        "settings": settings,
        "service": SERVICE,
        "forwarder": FORWARDER,
        "port": find_port(settings),
        "local_port": settings.swarm.registry,
        "certificate": CERTIFICATE,
        "name": SERVICE,
        "secret": plan.version,
        **{name: getattr(plan, name) for name in ("node", "address", "registry_image", "gateway_image", "pair_file")},
    }
    files = {name: fill(f"{_FOLDER}/{name}", context) for name in (_CONFIG, _HAPROXY)}
    stack = name_stack(settings.project)
    names = {
        "config_name": f"{stack}-config-{digest([files[_CONFIG]])}",
        "forwarder_name": f"{stack}-forwarder-{digest([files[_HAPROXY]])}",
        "pair_name": f"{stack}-node-{plan.version}",
    }
    return {**files, STACK_FILE: fill(f"{_FOLDER}/{STACK_FILE}", context | names)}
