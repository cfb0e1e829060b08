"""Which devices are connected, as the service of devices knows, for tasks, pages and the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from stack import console
from stack.devices.client import find_device_service, name_path
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.run.devices.twin import write_time

# Seconds that a list of devices waits for it.
_PATIENCE = 2.0
# What is told of a device, without the details.
_KEYS = ("connected", "since", "lastSeen", "reason", "protocol", "address")

# What is told of one that never came.
NEVER: Mapping[str, Any] = {**dict.fromkeys(_KEYS, ""), "connected": False, "since": None, "lastSeen": None}


def fetch_presence(stack: Stack, name: str) -> dict[str, Any]:
    """Return what is known of a device's connection.

    Raises:
        DeviceServiceError: the service does not run.
    """
    return _choose(find_device_service(stack).ask("GET", name_path(name, "presence")))


def fetch_all_presence(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return what is known of the connections of all devices that ever came, by name.

    Raises:
        DeviceServiceError: the service does not run.
    """
    found = find_device_service(stack).ask("GET", "/presence")["devices"]
    return {name: _choose(one) for name, one in found.items()}


def fetch_some_presence(stack: Stack, names: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """Return it of some devices, and None while the service does not answer, which is shown as not known."""
    if not names:
        return None
    try:
        found = find_device_service(stack).ask("POST", "/presence", {"names": list(names)}, timeout=_PATIENCE)
    except StackError:
        return None
    return {name: _choose(one) for name, one in found["devices"].items()}


def try_presence(stack: Stack, name: str = "") -> dict[str, dict[str, Any]] | None:
    """Return it of one device, or of all; None where it is not known, of which is told."""
    try:
        return {name: fetch_presence(stack, name)} if name else fetch_all_presence(stack)
    except StackError as error:
        console.note(f"Who is connected is not known: {error}")
        return None


def describe_presence(one: Mapping[str, Any] | None) -> str:
    """Say in a few words whether a device is there; one that is not known never came."""
    if not one or one["since"] is None:
        return "never"
    when = write_time(one["since"])
    return f"since {when}" if one["connected"] else f"no, {one['reason']} {when}"


def _choose(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in _KEYS}
