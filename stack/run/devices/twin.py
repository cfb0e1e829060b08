"""`invoke device twin`: how a device is to be, how it says that it is, and what changed of late."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stack import console
from stack.devices.client import find_device_service, name_path
from stack.docker.stack import Stack, open_stack
from stack.errors import DeviceError
from stack.run.devices.registry import get_device
from stack.state.deployment import load_author
from stack.state.devices import load_registry

DESIRED, REPORTED = "desired", "reported"


@dataclass(frozen=True)
class TwinCommand:
    """What to do with the twin of a device: to show it, or to change one of its parts."""

    name: str
    changes: Sequence[str] = ()
    """NAME=VALUE each."""
    is_reported: bool = False
    is_history: bool = False
    version: str = ""
    """That which the part has to have; empty if any will do."""


def handle_twin(command: TwinCommand, *, as_json: bool) -> None:
    """Show a twin or its history, or change it.

    Raises:
        ConflictError: it has another version than was said.
        DeviceError: there is no such device.
        DeviceServiceError: the service of devices does not run.
    """
    if not command.name:
        raise DeviceError("Name the device.")
    stack = open_stack()
    if command.is_history:
        _print_history(fetch_history(stack, command.name), as_json=as_json)
        return
    part = REPORTED if command.is_reported else DESIRED
    if command.changes:
        version = _read_version(command.version)
        twin = change_twin(stack, command.name, part, read_changes(command.changes), version)
    else:
        twin = fetch_twin(stack, command.name)
    if as_json:
        console.show_json(twin)
    else:
        _print_twin(twin, [REPORTED] if command.is_reported else [DESIRED, REPORTED])


def fetch_twin(stack: Stack, name: str) -> dict[str, Any]:
    """Return the twin of a device.

    Raises:
        DeviceError: there is no such device.
        DeviceServiceError: the service of devices does not run.
    """
    get_device(load_registry(stack.workspace), name)
    return dict(find_device_service(stack).ask("GET", name_path(name, "twin")))


def fetch_history(stack: Stack, name: str) -> list[dict[str, Any]]:
    """Return the last changes of a twin, the newest first.

    Raises:
        DeviceError: there is no such device.
        DeviceServiceError: the service of devices does not run.
    """
    get_device(load_registry(stack.workspace), name)
    return list(find_device_service(stack).ask("GET", name_path(name, "twin/history"))["changes"])


def change_twin(
    stack: Stack, name: str, part: str, patch: object, version: int | None = None, *, by: str = ""
) -> dict[str, Any]:
    """Change a part of a twin by a JSON merge patch, and return the twin.

    Raises:
        ConflictError: the part has another version.
        ConfigError: the patch is none.
        DeviceError: there is no such device.
        DeviceServiceError: the service of devices does not run.
    """
    get_device(load_registry(stack.workspace), name)
    body = {"part": part, "patch": patch, "version": version, "by": by or f"task {load_author()}"}
    return dict(find_device_service(stack).ask("PATCH", name_path(name, "twin"), body))


def read_changes(changes: Sequence[str]) -> dict[str, Any]:
    """Return the merge patch of changes such as fan=on or light.level=3; null takes away.

    Raises:
        DeviceError: one has no name, or no sign.
    """
    patch: dict[str, Any] = {}
    for text in changes:
        path, sign, value = text.partition("=")
        names = path.split(".")
        if not sign or not all(names):
            raise DeviceError(f"--set should be NAME=VALUE, such as fan=on or light.level=3, not {text!r}.")
        change: Any = _read_value(value)
        for name in reversed(names):
            change = {name: change}
        patch = _join(patch, change)
    return patch


def _read_version(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit()):
        raise DeviceError(f"--version should be a whole number, not {text!r}.")
    return int(text) if text else None


def _read_value(text: str) -> Any:
    """Return what is meant by a text: JSON, or the text itself where it does not begin as JSON does."""
    try:
        return json.loads(text)
    except ValueError as error:
        if text.startswith(("{", "[", '"')):
            raise DeviceError(f"--set: {text!r} begins as JSON, and is none: {error}.") from error
        return text


def _join(patch: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return both patches in one, where the later counts."""
    for name, value in change.items():
        both = isinstance(value, dict) and isinstance(patch.get(name), dict)
        patch[name] = _join(patch[name], value) if both else value
    return patch


def _print_twin(twin: dict[str, Any], parts: Sequence[str]) -> None:
    for part in parts:
        version = twin[f"{part}Version"]
        when = f", {write_time(twin[f'{part}At'])}" if version else ""
        console.show(f"{part} (version {version}{when}): {_write(twin[part])}")
    if DESIRED in parts:
        console.show(f"difference: {_write(twin['delta']) if twin['delta'] else 'none'}")


def _print_history(changes: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        console.show_json(changes)
    elif changes:
        columns = ("when", "part", "version", "by", "change")
        console.show_table(columns, [_describe(one) for one in changes])
    else:
        console.say("Nothing has changed yet.")


def _describe(one: dict[str, Any]) -> dict[str, str]:
    return {
        "when": write_time(one["time"]),
        "part": one["part"],
        "version": str(one["version"]),
        "by": one["by"] or "-",
        "change": _write(one["patch"]),
    }


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_time(seconds: float) -> str:
    """Return a time of seconds since 1970 as this machine's clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
