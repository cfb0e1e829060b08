"""`invoke device`: which of the verbs is meant."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack import console
from stack.docker.stack import Stack, open_stack
from stack.errors import HostError, StackError
from stack.plan.tls import AUTHORITY
from stack.run.devices.connection import find_origin
from stack.run.devices.phone import make_phone_link
from stack.run.devices.registry import (
    Identity,
    NewDevice,
    add_device,
    delete_device,
    read_name,
    revoke_device,
    rotate_device,
)
from stack.run.devices.show import find_program, print_device, print_identity, print_phone_link, print_program
from stack.run.devices.table import export_devices, import_devices, open_private
from stack.state.certificates import Pair, load_authority
from stack.state.devices import load_login
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
    if command.action in {"add", "rotate"}:
        with _reserve_files(stack, command, as_json=as_json):
            _print_identity(stack, _let_in(stack, command), command=command, as_json=as_json)
    elif command.action == "revoke":
        _revoke(stack, name)
    else:
        console.confirm(f"Remove the device {name}?", yes=command.yes)
        delete_device(stack, name)
        console.success(f"{name} is removed.")


def _revoke(stack: Stack, name: str) -> None:
    login = load_login(stack.workspace, read_name(name))
    has_certificate = bool(login and login.serial)
    revoke_device(stack, name)
    again, what = (" --certificate", "certificate") if has_certificate else ("", "password")
    console.success(f"{name} is locked out. `invoke device rotate {name}{again}` lets it in again, with a new {what}.")


def _let_in(stack: Stack, command: DeviceCommand) -> Identity:
    name, has_certificate = command.name, command.has_certificate
    if command.action == "rotate":
        return rotate_device(stack, name, has_certificate=has_certificate)
    labels = dict(command.labels or {})
    return add_device(stack, NewDevice(name, command.type, command.topics, labels, has_certificate=has_certificate))


@contextmanager
def _reserve_files(stack: Stack, command: DeviceCommand, *, as_json: bool) -> Iterator[None]:
    """Make the files of a device's key and certificate, before an older certificate ends: the key is kept nowhere else.

    Raises:
        HostError: one of them is there already, or cannot be made.
    """
    login = load_login(stack.workspace, read_name(command.name))
    with ExitStack() as files:
        if not as_json and (command.has_certificate or (command.action == "rotate" and login and login.serial)):
            _make_output(stack, Path(command.output or "."))
            for path in _name_files(command):
                files.enter_context(open_private(path))
                files.callback(_remove_empty, path)
        yield


def _make_output(stack: Stack, folder: Path) -> None:
    path = folder / AUTHORITY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_own = bool(stack.settings.tls.certificate)
        is_other = not is_own and path.exists() and path.read_bytes() != _get_authority(stack)
    except OSError as error:
        raise HostError(f"{folder} cannot be written: {error.strerror}. Name another --output.") from error
    if is_other:
        raise HostError(f"{path} is there already, of another authority. Name another --output.")


def _get_authority(stack: Stack) -> bytes:
    return load_authority(stack.workspace, stack.settings.project).certificate_pem


def _remove_empty(path: Path) -> None:
    if not path.stat().st_size:
        path.unlink()


def _name_files(command: DeviceCommand) -> tuple[Path, Path]:
    folder = Path(command.output or ".")
    return folder / f"{command.name}.key", folder / f"{command.name}.pem"


def _print_identity(stack: Stack, identity: Identity, *, command: DeviceCommand, as_json: bool) -> None:
    if identity.pair and not as_json:
        _write_pair(stack, identity.pair, *_name_files(command))
    if command.qr:
        print_phone_link(make_phone_link(stack, identity.device.name), as_json=as_json)
    elif command.program:
        print_program(stack, identity, name=command.program)
    else:
        print_identity(stack, identity, as_json=as_json)


def _write_pair(stack: Stack, pair: Pair, key: Path, certificate: Path) -> None:
    """Write a device's key, of which no other copy is kept, its certificate, and whom it trusts."""
    try:
        write_file(key, pair.key_pem, _PRIVATE)
        write_file(certificate, pair.certificate_pem)
        if not stack.settings.tls.certificate:
            write_file(key.parent / AUTHORITY, _get_authority(stack))
    except HostError as error:
        again = f"`invoke device rotate {key.stem} --output FOLDER` then makes another key and certificate"
        raise HostError(f"{error} The device is there; {again}.") from error


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
