"""Devices as they are shown: a list, one of them, and how a new one reaches the broker."""

from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from stack import console
from stack.config.device import DeviceConfig
from stack.docker.stack import Stack, open_stack
from stack.errors import StackError
from stack.plan.device_program import BY_NAME, UNKNOWN, Program, write_program
from stack.plan.tls import AUTHORITY
from stack.run.devices.connection import find_endpoint
from stack.run.devices.phone import PhoneLink
from stack.run.devices.presence import NEVER, describe_presence, try_presence
from stack.run.devices.registry import Identity, choose_devices, get_device
from stack.state.certificates import load_authority
from stack.state.device_link import LINK_MINUTES
from stack.state.devices import device_path, list_logins, load_registry
from stack.state.tls import authority_path
from stack.state.workspace import Workspace

_OWN_AUTHORITY = "that of tls.certificate, your own"
_MOST_LEFT = 10
_PROGRAMS = ", ".join(sorted(BY_NAME))


def print_devices(words: str, labels: Mapping[str, str], *, as_json: bool) -> None:
    """List the devices that have a text in their name, type or labels, and have some labels."""
    stack = open_stack()
    registry, let_in = load_registry(stack.workspace), list_logins(stack.workspace)
    for problem in registry.problems:
        console.warn(problem)
    _warn_left(stack.workspace, let_in - registry.devices.keys())
    found = choose_devices(registry.devices.values(), words, labels=labels)
    presence = try_presence(stack) if let_in and found else None
    if as_json:
        console.show_json([describe_device(one, is_let_in=one.name in let_in, presence=presence) for one in found])
    elif found:
        columns = ("device", "type", "may log in", "connected", "labels")
        console.show_table(columns, (_list(one, let_in, presence=presence) for one in found))
    else:
        console.say("There is no such device." if registry.devices else "There are no devices.")
        console.say("Next: `invoke device add NAME` adds one.")


def _warn_left(workspace: Workspace, names: Iterable[str]) -> None:
    """Tell of logins without a file; they are kept, since a file may come back with another branch of git."""
    if left := sorted(name for name in names if not device_path(workspace, name).exists()):
        advice = f"`invoke device remove {left[0]}` ends one for good."
        console.warn(f"There are logins of devices whose files are gone: {', '.join(left[:_MOST_LEFT])}. {advice}")


def print_device(name: str, *, as_json: bool, program: str = "") -> None:
    """Show one device, or a program with which it connects.

    Raises:
        StackError: there is none of this name.
    """
    stack = open_stack()
    device = get_device(load_registry(stack.workspace), name)
    if program:
        print_program(stack, Identity(device, UNKNOWN), name=program)
        return
    is_let_in = name in list_logins(stack.workspace)
    presence = try_presence(stack, name) if is_let_in else None
    document = describe_device(device, is_let_in=is_let_in, presence=presence)
    if as_json:
        console.show_json(document)
        return
    document["presence"] = describe_presence(document["presence"]) if presence else "-"
    for key, value in document.items():
        console.show(f"{key}: {_as_text(value)}")


def print_identity(stack: Stack, identity: Identity, *, as_json: bool) -> None:
    """Show what a device needs to log in, which is shown this once."""
    document = describe_identity(stack, identity)
    if as_json:
        console.show_json(document)
        return
    advice, name = document.pop("advice"), identity.device.name
    if identity.pair:
        document |= {"certificate": f"{name}.pem", "key": f"{name}.key"}
        document["authority"] = AUTHORITY if document["authority"] else _OWN_AUTHORITY
    elif document["authority"]:
        document["authority"] = str(authority_path(stack.workspace))
    for key, value in document.items():
        if value != "":
            console.show(f"{key}: {_as_text(value)}")
    if advice:
        console.note(advice)
    what = "Its key is kept nowhere else" if identity.pair else "The password is shown this once"
    console.note(f"{what}; `invoke device rotate {name}` makes another.")
    console.say(f"Next: `invoke device show {name} --program python` prints a program for it; there are: {_PROGRAMS}.")


def find_program(name: str) -> Program:
    """Return one of the programs with which a device connects.

    Raises:
        StackError: there is none of this name.
    """
    if name not in BY_NAME:
        raise StackError(f"There is no program {name!r}; name one of {_PROGRAMS}.")
    return BY_NAME[name]


def print_program(stack: Stack, identity: Identity, *, name: str) -> None:
    """Print a program with which a device connects.

    Raises:
        StackError: there is none of this name.
    """
    endpoint = find_endpoint(stack)
    console.show(write_program(find_program(name), endpoint, identity.device, identity.password).rstrip())
    if endpoint.advice:
        console.note(endpoint.advice)


def print_phone_link(link: PhoneLink, *, as_json: bool) -> None:
    """Show the link that makes a phone a device, as a QR code."""
    if as_json:
        console.show_json({"device": link.device, "link": link.address, "advice": link.advice})
        return
    code = StringIO()
    link.qr.terminal(code, compact=True)
    console.show(code.getvalue())
    console.show(link.address)
    if link.advice:
        console.warn(link.advice)
    console.note(f"Scan it with the phone within {LINK_MINUTES} minutes; it works once. The phone gets a new password.")


def describe_identity(stack: Stack, identity: Identity, seen_as: str = "") -> dict[str, Any]:
    """Return all that a device needs to log in; `seen_as` is the name by which a browser found this machine."""
    device, endpoint = identity.device, find_endpoint(stack, seen_as)
    document = {
        "host": endpoint.host,
        "port": endpoint.mqtt,
        "amqpPort": endpoint.amqp,
        "tls": endpoint.is_tls,
        "user": device.name,
        "clientId": device.name,
        "publish": list(device.publish),
        "subscribe": list(device.subscribe),
        "password": identity.password,
        "authority": endpoint.authority,
        "fingerprint": endpoint.fingerprint,
        "advice": endpoint.advice,
    }
    if pair := identity.pair:
        del document["password"]
        document |= {"certificate": pair.certificate_pem.decode(), "key": pair.key_pem.decode()}
        if not stack.settings.tls.certificate:
            document["authority"] = load_authority(stack.workspace, stack.settings.project).certificate_pem.decode()
    return document


def describe_device(
    device: DeviceConfig, *, is_let_in: bool, presence: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return what the API and --json tell of a device; `presence` is of all that ever came, None if not known."""
    return {
        "name": device.name,
        "type": device.device.type,
        "description": device.device.description,
        "labels": dict(device.labels),
        "publish": list(device.publish),
        "subscribe": list(device.subscribe),
        "rate": device.rate,
        "metrics": {
            name: {"topic": one.name_topic(device.name), "unit": one.unit} for name, one in device.metrics.items()
        },
        "mayLogIn": is_let_in,
        "presence": presence.get(device.name, NEVER) if presence is not None else None,
    }


def _list(one: DeviceConfig, let_in: set[str], *, presence: Mapping[str, Mapping[str, Any]] | None) -> dict[str, str]:
    labels = " ".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
    is_in = "yes" if one.name in let_in else "no"
    return {
        "device": one.name,
        "type": one.device.type or "-",
        "may log in": is_in,
        "connected": describe_presence(presence.get(one.name)) if presence is not None else "-",
        "labels": labels or "-",
    }


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_as_text(one)}" for key, one in value.items()) or "-"
    if isinstance(value, list):
        return " ".join(value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "-"
