"""Nuclio's object of a function: metadata, spec and status."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from stack.config.settings import Settings
from stack.config.source import find_folder
from stack.plan.function_document import IMPORT_MARKS, describe_function
from stack.run.catalogue.catalogue import FunctionRecord
from stack.run.catalogue.exchange import make_export
from stack.run.state import NOT_DEPLOYED, READY, STANDBY
from stack.run.workspace import Workspace

# Nuclio's word for a function that is kept and was not deployed; one that is disabled is ready there.
IMPORTED = "imported"
_WORDS = {NOT_DEPLOYED: IMPORTED, STANDBY: READY}
_PORT = 8080
_PREVIOUS_STATE = "nuclio.io/previous-state"


def tell_state(record: FunctionRecord) -> str:
    """Return how a function is in Nuclio's words, of which clients wait for ready, error, unhealthy or imported."""
    return _WORDS.get(record.state, record.state)


def describe_object(record: FunctionRecord, host: str, *, has_logs: bool = True) -> dict[str, Any]:
    """Return a function as Nuclio's API tells it; `host` is how the client calls this machine."""
    document = describe_function(record.told)
    document["status"] = _describe_status(record, host, has_logs=has_logs)
    return document


def find_addresses(record: FunctionRecord, host: str) -> tuple[list[str], list[str]]:
    """Return where a function answers, in the stack's network and on this machine, without the scheme.

    Clients put `http://` before such an address and a path behind it. So one that has no port of its own is told with
    its place in the gateway, host:port/NAME: Nuclio would tell a port that is the function's alone.
    """
    if not record.is_deployed or not any(one.kind == "http" for one in record.triggers.values()):
        return [], []
    inside = [f"nuclio-{record.namespace}-{record.name}:{_PORT}"]
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
    marks = dict.fromkeys(IMPORT_MARKS, "true") | {_PREVIOUS_STATE: tell_state(record)}
    metadata["annotations"] = {**metadata.get("annotations", {}), **marks}
    metadata["labels"] = describe_function(record.told)["metadata"]["labels"]
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
        "state": tell_state(record),
        **({"message": record.message} if record.message else {}),
        **({"logs": _describe_logs(record)} if has_logs else {}),
        **({"httpPort": record.port} if record.port and record.is_deployed else {}),
        **({"internalInvocationUrls": inside} if inside else {}),
        **({"externalInvocationUrls": outside} if outside else {}),
    }


def _describe_logs(record: FunctionRecord) -> list[dict[str, Any]]:
    return [
        {"time": one.time, "level": one.level, "name": one.name, "message": one.message}
        for one in ([] if record.is_log_old else record.logs)
    ]
