"""`invoke device`: which of the verbs is meant."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import console
from stack.docker.stack import Stack, open_stack
from stack.errors import HostError, StackError
from stack.plan.tls import AUTHORITY
from stack.run.devices.connection import find_origin
from stack.run.devices.phone import make_phone_link
from stack.run.devices.registry import Identity, NewDevice, add_device, delete_device, revoke_device, rotate_device
from stack.run.devices.show import find_program, print_device, print_identity, print_phone_link, print_program
from stack.run.devices.table import export_devices, import_devices
from stack.state.certificates import Pair, load_authority
from stack.state.workspace import open_workspace, write_file

ACTIONS = ("add", "show", "rotate", "revoke", "remove", "import", "export", "twin", "call", "calls")
_PRIVATE = 0o600
_PASSWORDS = "passwords.csv"


@dataclass(frozen=True)
class DeviceCommand:
    """What to do with which device."""

    action: str
    name: str
    type: str = ""
    topics: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    output: str = ""
    yes: bool = False
    program: str = ""
    """Of add, rotate and show: which program to print, instead of the connection."""
    has_certificate: bool = False
    qr: bool = False
    """Of add and show: print a link that makes a phone the device."""


def handle_device(command: DeviceCommand, *, as_json: bool) -> None:
    """Do what was typed.

    Raises:
        StackError: the command is wrong, or what it asks for cannot be done.
    """
    if command.action not in ACTIONS:
        raise StackError(f"There is no `device {command.action}`; type one of {', '.join(ACTIONS)}.")
    if command.action == "export":
        _export(command.output)
        return
    if not command.name:
        missing = "the table: invoke device import FILE.csv" if command.action == "import" else "the device"
        raise StackError(f"Name {missing}.")
    if command.action == "import":
        import_devices(Path(command.name), Path(command.output or _PASSWORDS))
    elif command.action == "show" and command.qr:
        print_phone_link(make_phone_link(open_stack(), command.name), as_json=as_json)
    elif command.action == "show":
        print_device(command.name, as_json=as_json, program=command.program)
    else:
        _change(command, as_json=as_json)


def _change(command: DeviceCommand, *, as_json: bool) -> None:
    stack, name = open_stack(), command.name
    if command.has_certificate and (command.program or command.qr):
        raise StackError("With --certificate there is no password for a program or a phone; leave one of them out.")
    if command.program:
        find_program(command.program)
    if command.qr:
        find_origin(stack)
    if command.action == "add":
        labels, certificate = dict(command.labels or {}), command.has_certificate
        new = NewDevice(name, command.type, command.topics, labels, has_certificate=certificate)
        _print_identity(stack, add_device(stack, new), command, as_json=as_json)
    elif command.action == "rotate":
        identity = rotate_device(stack, name, has_certificate=command.has_certificate)
        _print_identity(stack, identity, command, as_json=as_json)
    elif command.action == "revoke":
        revoke_device(stack, name)
        console.success(f"{name} is locked out. `invoke device rotate {name}` lets it in again, with a new password.")
    else:
        console.confirm(f"Remove the device {name}?", yes=command.yes)
        delete_device(stack, name)
        console.success(f"{name} is removed.")


def _print_identity(stack: Stack, identity: Identity, command: DeviceCommand, *, as_json: bool) -> None:
    if identity.pair and not as_json:
        _write_pair(stack, identity.device.name, identity.pair, Path(command.output or "."))
    if command.qr:
        print_phone_link(make_phone_link(stack, identity.device.name), as_json=as_json)
    elif command.program:
        print_program(stack, identity, command.program)
    else:
        print_identity(stack, identity, as_json=as_json)


def _write_pair(stack: Stack, name: str, pair: Pair, folder: Path) -> None:
    """Write a device's key, of which no other copy is kept, its certificate, and whom it trusts."""
    write_file(folder / f"{name}.key", pair.key_pem, _PRIVATE)
    write_file(folder / f"{name}.pem", pair.certificate_pem)
    write_file(folder / AUTHORITY, load_authority(stack.workspace, stack.settings.project).certificate_pem)


def _export(output: str) -> None:
    workspace = open_workspace()
    if not output:
        export_devices(workspace, sys.stdout)
        return
    try:
        with Path(output).open("w", encoding="utf-8", newline="") as file:
            export_devices(workspace, file)
    except OSError as error:
        raise HostError(f"{output} cannot be written: {error.strerror}. Name another --output.") from error
