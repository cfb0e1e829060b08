"""Devices as they are shown: a list, one of them, and how a new one reaches the broker."""

from collections.abc import Mapping
from typing import Any

from stack import console
from stack.config.device import DeviceConfig
from stack.docker.stack import Stack, open_stack
from stack.run.devices.registry import Identity, choose_devices, get_device
from stack.state.devices import list_logins, load_registry


def print_devices(words: str, labels: Mapping[str, str], *, as_json: bool) -> None:
    """List the devices that have a text in their name, type or labels, and have some labels."""
    stack = open_stack()
    registry, let_in = load_registry(stack.workspace), list_logins(stack.workspace)
    for problem in registry.problems:
        console.warn(problem)
    found = choose_devices(registry.devices.values(), words, labels)
    if as_json:
        console.show_json([describe_device(one, is_let_in=one.name in let_in) for one in found])
    elif found:
        console.show_table(("device", "type", "may log in", "labels"), (_list(one, let_in) for one in found))
    else:
        console.say("There is no such device." if registry.devices else "There are no devices.")
        console.say("Next: `invoke device add NAME` adds one.")


def print_device(name: str, *, as_json: bool) -> None:
    """Show one device.

    Raises:
        StackError: there is none of this name.
    """
    stack = open_stack()
    device = get_device(load_registry(stack.workspace), name)
    document = describe_device(device, is_let_in=name in list_logins(stack.workspace))
    if as_json:
        console.show_json(document)
        return
    for key, value in document.items():
        console.show(f"{key}: {_as_text(value)}")


def print_identity(stack: Stack, identity: Identity, *, as_json: bool) -> None:
    """Show what a device needs to log in, which is shown this once."""
    document = describe_identity(stack, identity)
    if as_json:
        console.show_json(document)
        return
    for key, value in document.items():
        console.show(f"{key}: {_as_text(value)}")
    console.note("The password is shown this once; `invoke device rotate` makes another.")


def describe_identity(stack: Stack, identity: Identity) -> dict[str, Any]:
    """Return all that a device needs to log in."""
    device, settings = identity.device, stack.settings
    return {
        "host": settings.host,
        "port": settings.ports.mqtt,
        "user": device.name,
        "clientId": device.name,
        "publish": list(device.publish),
        "subscribe": list(device.subscribe),
        "password": identity.password,
    }


def describe_device(device: DeviceConfig, *, is_let_in: bool) -> dict[str, Any]:
    """Return what the API and --json tell of a device."""
    return {
        "name": device.name,
        "type": device.device.type,
        "description": device.device.description,
        "labels": dict(device.labels),
        "publish": list(device.publish),
        "subscribe": list(device.subscribe),
        "mayLogIn": is_let_in,
    }


def _list(one: DeviceConfig, let_in: set[str]) -> dict[str, str]:
    labels = " ".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
    is_in = "yes" if one.name in let_in else "no"
    return {"device": one.name, "type": one.device.type or "-", "may log in": is_in, "labels": labels or "-"}


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={one}" for key, one in value.items()) or "-"
    if isinstance(value, list):
        return " ".join(value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "-"
