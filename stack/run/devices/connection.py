"""How devices reach this stack, as far as this machine can know: at which address, and at which ports."""

import socket

from stack.docker.node import fetch_nodes
from stack.docker.stack import Stack
from stack.errors import HostError, StackError
from stack.plan.device_program import Endpoint
from stack.plan.swarm import NODE_LABEL
from stack.state.tls import authority_path
from stack.state.workspace import advise, is_inside

_ONLY_HERE = (
    "Only this machine reaches that address. For devices elsewhere type `invoke credentials` and "
    "`invoke certificates`, say bind: 0.0.0.0 in stack.yaml, and type `invoke up`."
)
_NEEDS_TLS = "A phone's browser gives sensors to pages over TLS only. Type `invoke certificates`, then `invoke up`."
# An address of documentation, to which nothing is sent: the kernel tells which of its own it would send from.
_ELSEWHERE = ("192.0.2.1", 9)


def find_endpoint(stack: Stack, seen_as: str = "") -> Endpoint:
    """Return where devices find the broker; `seen_as` is the name by which a browser found this machine.

    Raises:
        HostError: the certificate of the stack's authority cannot be read.
    """
    settings, is_tls = stack.settings, stack.settings.tls.is_on
    mqtt, amqp = ("mqtts", "amqps") if is_tls else ("mqtt", "amqp")
    host = _find_host(stack, mqtt, seen_as=seen_as)
    return Endpoint(
        host,
        getattr(settings.ports, mqtt),
        getattr(settings.ports, amqp),
        is_tls,
        _read_authority(stack) if is_tls and not settings.tls.certificate else "",
        advise_wider(stack, mqtt),
        tuple(one for one in _find_others(stack) if one != host),
    )


def _find_others(stack: Stack) -> list[str]:
    """Return the addresses of the other machines that have a node of the broker; none where no one can tell now."""
    if stack.settings.broker.nodes == 1:
        return []
    label = f"{NODE_LABEL}{stack.settings.project}"
    try:
        return [one.address for one in fetch_nodes() if label in one.labels]
    except StackError:
        return []


def advise_wider(stack: Stack, port: str) -> str:
    """Say what to do where only this machine reaches a port; nothing where others do."""
    return "" if stack.settings.is_open(port) else _ONLY_HERE


def find_origin(stack: Stack, seen_as: str = "") -> str:
    """Return where phones find the dashboard.

    Raises:
        StackError: there is no TLS.
    """
    if not stack.settings.tls.is_on:
        raise StackError(_NEEDS_TLS)
    return f"https://{_find_host(stack, 'https', seen_as=seen_as)}:{stack.settings.ports.https}"


def _find_host(stack: Stack, port: str, *, seen_as: str) -> str:
    """Return the name or address at which other machines reach a port, of which its certificate tells if it has one."""
    address, named = stack.settings.get_address(port), stack.settings.tls.names
    if not address.is_unspecified:
        return str(address)
    if seen_as and not _is_loopback(seen_as):
        return seen_as
    if named:
        return named[0]
    # In a container this machine's addresses are not to be seen.
    return ("" if is_inside() else _find_address()) or _find_own_name(stack.bare_inputs.home.names)


def _read_authority(stack: Stack) -> str:
    path = authority_path(stack.workspace)
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}. {advise(error, path)}") from error


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
