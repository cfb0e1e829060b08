"""Devices: added, given another password, locked out, removed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import yaml

from stack import console
from stack.config.device import FOLDER, Device, DeviceConfig, check_device_name
from stack.config.document import parse_model
from stack.devices.client import MOST_NAMES, find_device_service
from stack.docker.readiness import wait_ready
from stack.docker.stack import Stack
from stack.errors import BrokerError, ConfigError, ConflictError, DeviceError, StackError
from stack.plan.broker import GUEST
from stack.plan.device_account import SERVICE, SERVICE_ACCOUNT
from stack.rabbitmq.device_account import close_sessions, make_accounts, remove_accounts
from stack.rabbitmq.management import find_broker
from stack.rabbitmq.revocation import send_revocations
from stack.run.devices.guest import end_guest
from stack.run.scale import settle_program
from stack.run.stack import write_stack
from stack.state.certificates import Pair, make_device_pair
from stack.state.devices import (
    Registry,
    device_path,
    list_logins,
    load_login,
    load_registry,
    make_login,
    note_certificate,
    remove_device,
    remove_login,
)
from stack.state.lock import DEVICES, TREE, lock
from stack.state.tls import revoke_certificates
from stack.state.workspace import Workspace, write_file

# How long the service of logins may take to start: it is a program of Python on a slow SD card, at worst.
_START_SECONDS = 60


@dataclass(frozen=True)
class NewDevice:
    """What is said of a device when it is added."""

    name: str
    type: str = ""
    topics: Sequence[str] = ()
    labels: dict[str, str] = field(default_factory=dict)
    has_certificate: bool = False
    """Whether it logs in by a certificate, and not by a password."""
    more: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """What else its file is to say, such as {publish: [plant/1/t]}."""
    may_log_in: bool = True
    """Whether it gets a login with its file, as one of a table may not."""


@dataclass(frozen=True)
class Identity:
    """A device, and the password, or the key with its certificate, that it is told this once."""

    device: DeviceConfig
    password: str
    pair: Pair | None = None


def add_device(stack: Stack, new: NewDevice) -> Identity:
    """Add a device: its file, its password, its account at the broker.

    Raises:
        ConfigError: something of it is wrong.
        ConflictError: there is a device of this name.
    """
    name = read_name(new.name)
    if new.has_certificate:
        check_tls(stack)
    with lock(stack.workspace, DEVICES):
        if device_path(stack.workspace, name).exists():
            advice = f"`invoke device rotate {name}` gives it a new password."
            raise ConflictError(f"There is a device {name} already. {advice}")
        write_new(stack.workspace, new)
        try:
            device = get_device(load_registry(stack.workspace), name)
        except StackError:
            remove_device(stack.workspace, name)
            raise
        identity = _let_in(stack, device, has_certificate=new.has_certificate)
    settle_first_login(stack)
    forget_devices(stack, [name])
    return identity


def rotate_device(stack: Stack, name: str, *, has_certificate: bool = False) -> Identity:
    """Give a device another password, also one that was locked out; its session with the old one ends.

    One that has a certificate gets another certificate.

    Raises:
        DeviceError: there is no such device.
    """
    with lock(stack.workspace, DEVICES):
        device = get_device(load_registry(stack.workspace), name)
        login = load_login(stack.workspace, name)
        is_certified = has_certificate or bool(login and login.serial)
        if is_certified:
            check_tls(stack)
        identity = _let_in(stack, device, has_certificate=is_certified)
        with tolerate_absence():
            close_sessions(find_broker(stack), name)
    settle_first_login(stack)
    return identity


def revoke_device(stack: Stack, name: str) -> None:
    """Lock a device out: its session ends, and it may not log in until it is given another password.

    Raises:
        DeviceError: there is no such device, and no login that is left of one.
    """
    with lock(stack.workspace, DEVICES):
        if read_name(name) not in list_logins(stack.workspace):
            get_device(load_registry(stack.workspace), name)
        _lock_out(stack, name)
    _settle_last(stack)


def delete_device(stack: Stack, name: str) -> None:
    """Lock a device out, and remove its file.

    Raises:
        DeviceError: there is no such device, and no login that is left of one.
    """
    with lock(stack.workspace, DEVICES):
        is_there = device_path(stack.workspace, read_name(name)).exists()
        if not is_there and name not in list_logins(stack.workspace):
            get_device(load_registry(stack.workspace), name)
        _lock_out(stack, name)
        remove_device(stack.workspace, name)
    forget_devices(stack, [name])
    _settle_last(stack)


def forget_devices(stack: Stack, names: Sequence[str]) -> None:
    """Have the service forget devices that are removed, or are new, so that another of a name begins with nothing."""
    try:
        if stack.engine.listed():
            service = find_device_service(stack)
            for first in range(0, len(names), MOST_NAMES):
                service.ask("POST", "/forget", {"names": list(names[first : first + MOST_NAMES])})
    except StackError as error:
        console.warn(f"If there was a device of the same name, what was known of it is kept, such as a twin: {error}")


def choose_devices(devices: Iterable[DeviceConfig], words: str, *, labels: Mapping[str, str]) -> list[DeviceConfig]:
    """Return the devices that have a text in their name, type or labels, and have some labels."""
    wanted = words.lower()
    return [one for one in devices if labels.items() <= one.labels.items() and wanted in _write_words(one)]


def _write_words(one: DeviceConfig) -> str:
    return " ".join((one.name, one.device.type, *(f"{name}={value}" for name, value in one.labels.items()))).lower()


def read_name(name: str) -> str:
    """Return the name of a device as it was typed.

    Raises:
        ConfigError: it can be none.
    """
    try:
        return check_device_name(name)
    except ValueError as error:
        raise ConfigError([f"The name of a device {error}."]) from error


def get_device(registry: Registry, name: str) -> DeviceConfig:
    """Return one of the devices.

    Raises:
        DeviceError: there is none.
        ConfigError: its file is wrong.
    """
    if device := registry.devices.get(name):
        return device
    if wrong := [one for one in registry.problems if one.startswith(f"{FOLDER}/{name}.yaml")]:
        raise ConfigError(wrong)
    raise DeviceError(f"There is no device {name}. `invoke devices` lists them.")


def write_new(workspace: Workspace, new: NewDevice, *, is_durable: bool = True) -> None:
    """Write the file of a device that is added.

    Raises:
        ConfigError: something of it is wrong.
    """
    said = {"type": new.type, "topics": list(new.topics), **new.more, "labels": new.labels}
    given = {key: value for key, value in said.items() if value}
    parse_model(Device, given, name=f"Device {new.name}")
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True) if given else "{}\n"
    write_file(device_path(workspace, new.name), text.encode(), is_durable=is_durable)


def check_tls(stack: Stack) -> None:
    """Refuse certificates for devices where the broker has no ports with TLS.

    Raises:
        ConflictError: it has none.
    """
    if not stack.settings.tls.is_on:
        advice = "Type `invoke certificates`, then `invoke up`, then this again."
        raise ConflictError(f"A device logs in by a certificate over TLS, which this stack does not have yet. {advice}")


def _let_in(stack: Stack, device: DeviceConfig, *, has_certificate: bool) -> Identity:
    pair = make_device_pair(stack.workspace, stack.settings.project, device=device.name) if has_certificate else None
    revoke_older(stack, [device.name])
    if pair:
        note_certificate(stack.workspace, device.name, serial=pair.serial)
        identity = Identity(device, "", pair)
    else:
        identity = Identity(device, make_login(stack.workspace, device.name))
    with tolerate_absence():
        for _ in make_accounts(stack, [device]):
            pass
    return identity


def revoke_older(stack: Stack, names: Iterable[str]) -> None:
    """Have the certificates of devices open nothing any more, also when a device of the name is let in again."""
    logins = (load_login(stack.workspace, name) for name in names)
    serials = [one.serial for one in logins if one and one.serial]
    revoke_certificates(stack.workspace, stack.settings.project, serials=serials)
    if serials:
        send_revocations(stack)


def _settle_last(stack: Stack) -> None:
    if not list_logins(stack.workspace):
        settle_logins(stack)


def _lock_out(stack: Stack, name: str) -> None:
    revoke_older(stack, [name])
    remove_login(stack.workspace, name)
    with tolerate_absence():
        remove_accounts(find_broker(stack), [name])


def settle_first_login(stack: Stack) -> None:
    """Settle logins of which one may be the first, with which the account guest ends, connections included."""
    ended = end_guest(stack)
    settle_logins(ended)
    if stack.credentials.is_guest:
        # A broker that does not answer was told of.
        with suppress(BrokerError):
            close_sessions(find_broker(ended), GUEST)


def settle_logins(stack: Stack) -> None:
    """Have the service that lets devices in run where there are logins, and only there, in a stack that runs.

    Why that fails is only told: the password that was made is to be shown in any case.
    """
    try:
        if stack.engine.listed():
            _settle_logins(stack)
    except StackError as error:
        console.warn(f"The service {SERVICE}, which lets devices in, is as it was until the next `invoke up`: {error}")


def _settle_logins(stack: Stack) -> None:
    with lock(stack.workspace, TREE):
        fresh = stack.reread()
        write_stack(fresh, fresh.inputs)
    settle_program(fresh, SERVICE, is_wanted=lambda inputs: inputs.has_devices)
    if fresh.inputs.has_devices:
        wait_ready(fresh.engine, [SERVICE], seconds=_START_SECONDS)
        return
    with lock(stack.workspace, DEVICES):
        # Another task may have let a device in meanwhile.
        if not list_logins(stack.workspace):
            remove_accounts(find_broker(fresh), [SERVICE_ACCOUNT])


@contextmanager
def tolerate_absence() -> Iterator[None]:
    """Go on without a broker: what is kept here is what counts, and `up` has the broker follow it."""
    try:
        yield
    except BrokerError as error:
        console.warn(f"The broker was not told, and will be by `invoke up`: {error}")
