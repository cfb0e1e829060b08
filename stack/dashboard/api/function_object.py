"""Nuclio's object of a function: metadata, spec and status."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL, RESERVED, FunctionConfig, check_name
from stack.config.settings import Settings
from stack.config.source import find_folder
from stack.contract import HTTP_PORT
from stack.dashboard.services import Services
from stack.plan.broker_mention import TO_BROKER
from stack.plan.function_export import IMPORT_MARKS, NuclioFunction, describe_function, is_import
from stack.plan.trigger.http import find_http
from stack.run.catalogue import FunctionRecord
from stack.run.function_status import BUILDING, NOT_DEPLOYED, READY, STANDBY
from stack.run.import_export import make_export, save_function
from stack.state.project import list_projects
from stack.state.workspace import Workspace

# Nuclio's word for a function that is kept and was not deployed; one that is disabled is ready there.
IMPORTED = "imported"
_WORDS = {NOT_DEPLOYED: IMPORTED, STANDBY: READY}
_PREVIOUS_STATE = "nuclio.io/previous-state"


def describe_state(record: FunctionRecord) -> str:
    """Return how a function is in Nuclio's words, of which clients wait for ready, error, unhealthy or imported."""
    return _WORDS.get(record.state, record.state)


def describe_object(record: FunctionRecord, host: str, *, has_logs: bool = True) -> dict[str, Any]:
    """Return a function as Nuclio's API tells it; `host` is how the client calls this machine."""
    document = describe_function(record)
    document["status"] = _describe_status(record, host, has_logs=has_logs)
    return document


def find_addresses(record: FunctionRecord, host: str) -> tuple[list[str], list[str]]:
    """Return where a function answers, in the stack's network and on this machine, without the scheme.

    Clients put `http://` before such an address and a path behind it. So one that has no port of its own is told with
    its place in the gateway, host:port/NAME: Nuclio would tell a port that is the function's alone.
    """
    if not record.is_deployed or not find_http(record.triggers):
        return [], []
    inside = [f"nuclio-{record.namespace}-{record.name}:{HTTP_PORT}"]
    own = [f"{host}:{record.port}"] if record.port else []
    gateway = urlsplit(record.url)
    return inside, [*own, *([f"{host}:{gateway.port}{gateway.path}"] if record.url else [])]


def export_object(workspace: Workspace, record: FunctionRecord, settings: Settings) -> dict[str, Any]:
    """Return a function as Nuclio exports it: all of it in one document, without secrets, marked as not to be deployed.

    Raises:
        StackError: its folder is wrong, or too large for one document.
    """
    document = make_export(find_folder(workspace.root, record.name), settings).document
    metadata = dict(document["metadata"])
    metadata.pop("namespace", None)
    marks = dict.fromkeys(IMPORT_MARKS, "true") | {_PREVIOUS_STATE: describe_state(record)}
    metadata["annotations"] = {**metadata.get("annotations", {}), **marks}
    metadata["labels"] = describe_function(record)["metadata"]["labels"]
    return {"metadata": metadata, "spec": document["spec"]}


@dataclass(frozen=True)
class Listing:
    """The functions of one moment, encoded once for all who ask."""

    records: Sequence[FunctionRecord]
    host: str
    _parts: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def whole(self) -> bytes:
        """Return all functions as one JSON object, by their names."""
        return self.choose(lambda _: True)

    def choose(self, wanted: Callable[[FunctionRecord], bool]) -> bytes:
        """Return some of them. What their deploys said is told of one function only: of a hundred it is megabytes."""
        return b"{" + b",".join(self._part(one) for one in self.records if wanted(one)) + b"}"

    def _part(self, record: FunctionRecord) -> bytes:
        if record.name not in self._parts:
            text = json.dumps(describe_object(record, self.host, has_logs=False), separators=(",", ":"))
            self._parts[record.name] = f"{json.dumps(record.name)}:{text}".encode()
        return self._parts[record.name]


def _describe_status(record: FunctionRecord, host: str, *, has_logs: bool) -> dict[str, Any]:
    inside, outside = find_addresses(record, host)
    return {
        "state": describe_state(record),
        **({"message": record.message} if record.message else {}),
        **({"logs": _describe_logs(record)} if has_logs else {}),
        **({"httpPort": record.port} if record.port and record.is_deployed else {}),
        **({"internalInvocationUrls": inside} if inside else {}),
        **({"externalInvocationUrls": outside} if outside else {}),
        **({"revision": record.revision, "version": record.content} if record.is_deployed else {}),
    }


def _describe_logs(record: FunctionRecord) -> list[dict[str, Any]]:
    return [
        {"time": one.time, "level": one.level, "name": one.name, "message": one.message}
        for one in ([] if record.is_log_old else record.logs)
    ]


# A header of Tidegate's own, of answers and of requests: a change with a stale one is refused.
VERSION = "X-Tidegate-Function-Version"
# Another one, of requests: the function's broker addresses are to name the stack's own broker.
OWN_BROKER = "X-Tidegate-Own-Broker"


@dataclass(frozen=True)
class FunctionRequest:
    """A function as a client describes it."""

    name: str
    project: str
    document: dict[str, Any]
    version: str = ""
    """What the client takes for the function's latest version, if it says so."""
    to_broker: bool = False
    """Whether its broker addresses are to name the stack's own broker."""

    @property
    def is_import(self) -> bool:
        """Return whether it is only to be kept, not deployed."""
        return is_import(self.document)

    @property
    def is_disabled(self) -> bool:
        """Return whether it is to have no container."""
        return self.document["spec"].get("disable") is True


def read_name(document: dict[str, Any]) -> str:
    """Return the name of the function that a body is about.

    Raises:
        HTTPException: 400, there is none, or it is none; 412, it is reserved.
    """
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise HTTPException(400, "Function name must be provided in metadata")
    if name in RESERVED:
        raise HTTPException(412, f"Function name {name} is reserved and cannot be used.")
    try:
        check_name(name)
    except ValueError as error:
        raise HTTPException(400, f"Function name breaks the naming convention: it {error}") from error
    return name


def read_wanted(
    document: dict[str, Any], project: str = "", *, version: str = "", to_broker: bool = False
) -> FunctionRequest:
    """Return what a body asks for; `project` wins over its label.

    Its own resourceVersion says nothing: Nuclio makes none on Docker, and its clients send an object again and again.

    Raises:
        HTTPException: something that every function has is missing.
    """
    name = read_name(document)
    if not isinstance(document.get("spec"), dict):
        raise HTTPException(400, "Function spec must be provided")
    metadata = document["metadata"]
    labels = metadata.get("labels")
    labels = dict(labels) if isinstance(labels, dict) else {}
    wanted = project or str(labels.get(PROJECT_LABEL) or DEFAULT_PROJECT)
    head = {**metadata, "labels": {**labels, PROJECT_LABEL: wanted}}
    return FunctionRequest(name, wanted, {**document, "metadata": head}, version, to_broker)


async def find_record(services: Services, name: str) -> FunctionRecord | None:
    """Return what is known of a function, if there is one."""
    return next((one for one in await services.records() if one.name == name), None)


async def keep_wanted(services: Services, wanted: FunctionRequest, *, before: FunctionRecord | None) -> tuple[str, ...]:
    """Write what a client asks for into the function's folder; return what cannot be as it says.

    Raises:
        HTTPException: the function cannot be changed now, or so.
        ConfigError: it cannot run here.
    """
    if before:
        _check_change(wanted, before)
    notes = await run_in_threadpool(_keep, services, wanted, before)
    services.catalogue.forget()
    return notes


def check_free(record: FunctionRecord) -> None:
    """Refuse to touch a function that is being deployed.

    Raises:
        HTTPException: 412, it is.
    """
    if record.state == BUILDING:
        raise HTTPException(412, f"Function {record.name} is being provisioned and cannot be changed meanwhile.")


def check_version(record: FunctionRecord, version: str) -> None:
    """Refuse to touch a function that the client knows in an older version.

    Raises:
        HTTPException: 409, it does.
    """
    if version and version != record.version:
        raise HTTPException(
            409, f"Function {record.name} has changed since it was read: {VERSION} is stale. Read it again."
        )


def _check_change(wanted: FunctionRequest, before: FunctionRecord) -> None:
    check_free(before)
    check_version(before, wanted.version)
    if wanted.is_disabled and not before.is_deployed:
        raise HTTPException(412, "Non-deployed functions cannot be disabled")


def _keep(services: Services, wanted: FunctionRequest, before: FunctionRecord | None) -> tuple[str, ...]:
    stack = services.stack()
    known = list_projects(services.workspace, {one.project for one in services.catalogue.records()})
    if wanted.project not in known:
        raise HTTPException(412, f"Project {wanted.project} does not exist; create it first.")
    namespace = stack.settings.namespace
    told = before or NuclioFunction(wanted.name, namespace, wanted.project, FunctionConfig(), "", {})
    option = f"the header {OWN_BROKER}: true points it at this stack's own"
    notes = save_function(stack, wanted.document, told=told, to_broker=wanted.to_broker)
    return tuple(f"{note.replace(TO_BROKER, option)}." for note in notes)
