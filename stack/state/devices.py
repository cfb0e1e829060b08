"""Devices as they are kept: their files, which git sees, and what is known of their passwords, which it does not."""

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stack.config.device import (
    FOLDER,
    NAME,
    TYPES,
    Device,
    DeviceConfig,
    DeviceType,
    check_device_name,
    complete_device,
)
from stack.config.document import Model, parse_model
from stack.config.yaml_loader import read_mapping
from stack.errors import ConfigError
from stack.plan.device_account import LOGINS
from stack.state.access import digest_token
from stack.state.workspace import Workspace, make_folder, parse_json, remove_file, write_file

_SUFFIX = ".yaml"
_CACHE = "devices.json"
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
# So many random bytes, 120 bits, cannot be guessed.
_PASSWORD_BYTES = 15


@dataclass(frozen=True)
class Login:
    """What is kept of a device's password: its digest, which is of a random one and so needs no salt."""

    digest: str
    since: float
    """When it was made, in seconds since 1970."""
    serial: str = ""
    """The number of its certificate, in hexadecimal; a device that has one has no password, and no digest."""

    def takes(self, name: str, password: str) -> bool:
        """Return whether the password is right."""
        return secrets.compare_digest(_digest(name, password), self.digest)


@dataclass(frozen=True)
class Registry:
    """All devices, and what is wrong with files of devices, by path."""

    devices: Mapping[str, DeviceConfig]
    problems: tuple[str, ...] = ()


def load_registry(workspace: Workspace) -> Registry:
    """Read all devices; a file with a mistake takes none of the others away."""
    documents, problems = _read_all(workspace)
    types, of_types = _parse_all(DeviceType, TYPES, documents=documents[TYPES])
    devices, of_devices = _parse_all(Device, FOLDER, documents=documents[FOLDER])
    found, unfit = {}, []
    for name, device in devices.items():
        try:
            found[name] = complete_device(name, device, types=types)
        except ValueError as error:
            unfit.append(f"{FOLDER}/{name}{_SUFFIX}: {error}")
    return Registry(found, (*problems, *of_types, *of_devices, *unfit))


class RegistryReader:
    """Reads all devices, again only if one of their files has changed, since a page may list many."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._marks: list[tuple[str, str, list[int]]] | None = None
        self._registry = Registry({})

    def read(self) -> Registry:
        """Return all devices."""
        marks = list(_list_documents(self._workspace.root))
        if marks != self._marks:
            self._registry, self._marks = load_registry(self._workspace), marks
        return self._registry


def device_path(workspace: Workspace, name: str) -> Path:
    """Return the file of a device."""
    return workspace.root / FOLDER / f"{name}{_SUFFIX}"


def logins_folder(workspace: Workspace) -> Path:
    """Return the folder of what is known of passwords, one file for each device that may log in."""
    return workspace.rendered / LOGINS


def make_login(workspace: Workspace, name: str, *, is_durable: bool = True) -> str:
    """Give a device a new password, and return it; from then on only its digest is there."""
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    _write_login(workspace, name, login=Login(_digest(name, password), round(time.time(), 3)), is_durable=is_durable)
    return password


def note_certificate(workspace: Workspace, name: str, *, serial: str) -> None:
    """Let a device in by a certificate, and by no password any more."""
    _write_login(workspace, name, login=Login("", round(time.time(), 3), serial))


def _write_login(workspace: Workspace, name: str, *, login: Login, is_durable: bool = True) -> None:
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    make_folder(logins_folder(workspace), _PRIVATE_FOLDER)
    text = json.dumps(asdict(login)) + "\n"
    write_file(logins_folder(workspace) / name, text.encode(), _PRIVATE, is_durable=is_durable)


def remove_login(workspace: Workspace, name: str) -> None:
    """Let a device in no more."""
    remove_file(logins_folder(workspace) / name)


def load_login(workspace: Workspace, name: str) -> Login | None:
    """Return what is known of a device's password; nothing where it may not log in, or its file is spoiled."""
    try:
        return parse_json(Login, (logins_folder(workspace) / name).read_bytes())
    except (OSError, ValueError):
        return None


def list_logins(workspace: Workspace) -> set[str]:
    """Return which devices may log in."""
    return {one.name for one in _scan(logins_folder(workspace)) if NAME.fullmatch(one.name)}


def _digest(name: str, password: str) -> str:
    return digest_token(f"{name}:{password}")


def _read_all(workspace: Workspace) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read the files of both folders; what has not changed since is not read again, since YAML takes its time."""
    path = workspace.state / _CACHE
    before, problems = _load_cache(path), []
    now: dict[str, Any] = {}
    documents: dict[str, dict[str, Any]] = {FOLDER: {}, TYPES: {}}
    for folder, name, mark in _list_documents(workspace.root):
        key = f"{folder}/{name}"
        known = before.get(key)
        try:
            document = known[1] if known and known[0] == mark else read_mapping(workspace.root / key, name)
        except ConfigError as error:
            problems.append(f"{folder}/{error}")
            continue
        now[key] = (mark, document)
        documents[folder][name.removesuffix(_SUFFIX)] = document
    if now.keys() != before.keys() or any(before[key][0] != one[0] for key, one in now.items()):
        write_file(path, json.dumps(now).encode(), is_durable=False)
    return documents, problems


def _load_cache(path: Path) -> dict[str, tuple[list[int], Any]]:
    try:
        return parse_json(dict[str, tuple[list[int], Any]], path.read_bytes())
    except (OSError, ValueError):
        return {}


def _list_documents(root: Path) -> Iterator[tuple[str, str, list[int]]]:
    """Yield the folder and the name of each file, and what changes when it is written."""
    for folder in (TYPES, FOLDER):
        for one in sorted(_scan(root / folder), key=lambda one: one.name):
            if one.name.endswith(_SUFFIX) and not one.name.startswith(".") and one.is_file():
                status = one.stat()
                yield folder, one.name, [status.st_mtime_ns, status.st_size, status.st_ino]


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder, which may not be there; by os.scandir, which takes a tenth of what pathlib takes."""
    try:
        return [*os.scandir(folder)]
    except OSError:
        return []


def _parse_all(model: type[Model], folder: str, *, documents: Mapping[str, Any]) -> tuple[dict[str, Model], list[str]]:
    found, problems = {}, []
    for name, document in documents.items():
        try:
            found[check_device_name(name)] = parse_model(model, document, name=f"{folder}/{name}{_SUFFIX}")
        except ConfigError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{folder}/{name}{_SUFFIX}: the file's name {error}")
    return found, problems


def remove_device(workspace: Workspace, name: str) -> None:
    """Remove the file of a device."""
    remove_file(device_path(workspace, name))
