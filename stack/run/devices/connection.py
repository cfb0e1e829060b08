"""How devices reach this stack, as far as this machine can know: at which address, and at which ports."""

import socket

from stack.config.settings import Settings
from stack.docker.stack import Stack
from stack.plan.device_program import Endpoint
from stack.state.workspace import is_inside

_ONLY_HERE = (
    "Only this machine reaches that address. For devices elsewhere type `invoke credentials`, "
    "and say bind: 0.0.0.0 in stack.yaml."
)
# An address of documentation, to which nothing is sent: the kernel tells which of its own it would send from.
_ELSEWHERE = ("192.0.2.1", 9)


def find_endpoint(stack: Stack, seen_as: str = "") -> Endpoint:
    """Return where devices find the broker; `seen_as` is the name by which a browser found this machine."""
    settings = stack.settings
    host = _find_host(settings, seen_as) or _find_own_name(stack.inputs.home.names)
    advice = _ONLY_HERE if settings.is_local else ""
    return Endpoint(host, settings.ports.mqtt, settings.ports.amqp, advice=advice)


def _find_host(settings: Settings, seen_as: str) -> str:
    """Return the address at which other machines reach the ports; nothing where a container cannot know it."""
    address = settings.get_address("mqtts" if settings.tls.is_on else "mqtt")
    if not address.is_unspecified:
        return str(address)
    if seen_as and not _is_loopback(seen_as):
        return seen_as
    return "" if is_inside() else _find_address()


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"


def _find_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _find_own_name(names: tuple[str, ...]) -> str:
    """Return the name that other machines find by multicast DNS."""
    return next((one for one in names if one.endswith(".local")), names[0] if names else "127.0.0.1")
