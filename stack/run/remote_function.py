"""A function at another dashboard, ours or Nuclio's own: deployed, rolled back, and how it is there."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from stack import console
from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL
from stack.config.settings import load_settings
from stack.config.source import find_folder
from stack.errors import FunctionError
from stack.plan.image import split_reference
from stack.run.import_export import make_export
from stack.run.remote import AwayError, RemoteDashboard, open_dashboard
from stack.state.workspace import open_workspace

# A function's states in which nothing more happens by itself.
_GOOD = frozenset({"ready", "scaledToZero", "standby", "imported"})
_BAD = frozenset({"error", "unhealthy"})
# What Tidegate calls the logger of a build's own lines.
_BUILD = "build"
_INTERVAL_SECONDS = 1.0
# A build that downloads a lot takes minutes.
_PATIENCE_SECONDS = 1800.0


# How long a dashboard may be away meanwhile: it starts again, or its line is cut.
_AWAY_SECONDS = 120.0


@dataclass(frozen=True)
class RemoteFunction:
    """How a function is there, and where it answers; `version` tells what was deployed from anything else."""

    state: str
    message: str = ""
    addresses: tuple[str, ...] = ()
    revision: int = 0
    version: str = ""

    @property
    def has_failed(self) -> bool:
        """Return whether it is in a state in which it does not work."""
        return self.state in _BAD

    @property
    def problem(self) -> str:
        """Return why it does not work; nothing where it does."""
        told = self.message.strip() or "its dashboard does not say why"
        return f"it is {self.state}: {told}" if self.has_failed else ""


def read_function(document: Any) -> RemoteFunction:
    """Read what a dashboard says of a function; of Nuclio's own, the version is its image's tag, if that says one."""
    known: Mapping[str, Any] = document if isinstance(document, dict) else {}
    status, spec = known.get("status") or {}, known.get("spec") or {}
    tag = split_reference(str(spec.get("image") or ""))[1]
    return RemoteFunction(
        str(status.get("state", "")),
        str(status.get("message") or ""),
        tuple(map(str, status.get("externalInvocationUrls") or ())),
        int(status.get("revision") or 0),
        str(status.get("version") or ("" if tag == "latest" else tag)),
    )


def deploy_remotely(name: str, url: str) -> None:
    """Deploy functions/NAME through the dashboard at a URL, show what it says meanwhile, and where it answers then.

    Raises:
        FunctionError: there is no such function, the dashboard refused it, or it does not come up there.
        HostError: the dashboard cannot be reached.
    """
    workspace, dashboard = open_workspace(), open_dashboard(url)
    exported = make_export(find_folder(workspace.root, name), load_settings(workspace.root))
    for note in exported.notes:
        console.warn(f"{note}.")
    with console.working(f"Deploying {name} at {dashboard.address}") as work:
        found = deploy_at(dashboard, exported.document, partial(_show, work))
    if found.problem:
        raise FunctionError(f"{name} did not come up at {dashboard.address}, {found.problem}")
    console.success(f"{name} is {found.state} at {dashboard.address}.")
    for address in found.addresses:
        console.show(f"http://{address}")


# Is told the new entries of a deploy's log.
Tell = Callable[[Sequence[Any]], object]


def deploy_at(dashboard: RemoteDashboard, document: dict[str, Any], tell: Tell) -> RemoteFunction:
    """Deploy a function through a dashboard; return how it is when that has ended.

    Raises:
        FunctionError: the dashboard refused it, or it has not ended in time.
        HostError: the dashboard cannot be reached.
    """
    _submit(dashboard, document)
    return _follow(dashboard, document["metadata"]["name"], tell)


def roll_back_at(dashboard: RemoteDashboard, name: str, number: int) -> RemoteFunction:
    """Go back to an older revision of a function; return how it is then. With 0 it is the one before what runs.

    Raises:
        FunctionError: the dashboard refused it, or it did not come up: what ran runs on.
        HostError: the dashboard cannot be reached.
    """
    dashboard.require("POST", f"functions/{name}/rollback", {"revision": number})
    return read_function(dashboard.require("GET", f"functions/{name}"))


def _submit(dashboard: RemoteDashboard, document: dict[str, Any]) -> None:
    """Have a function deployed: created, or in the place of what has its name; its project is made if need be."""
    metadata = document["metadata"]
    project = metadata.get("labels", {}).get(PROJECT_LABEL, DEFAULT_PROJECT)
    labels = {**metadata.get("labels", {}), PROJECT_LABEL: project}
    document = {**document, "metadata": {**metadata, "labels": labels}}
    if project not in (dashboard.require("GET", "projects") or {}):
        dashboard.require("POST", "projects", {"metadata": {"name": project}, "spec": {}})
    path = f"functions/{metadata['name']}"
    headers = {"X-Nuclio-Project-Name": project}
    if dashboard.ask("GET", path).is_good:
        dashboard.require("PUT", path, document, headers)
    else:
        dashboard.require("POST", "functions", document, headers)


def _follow(dashboard: RemoteDashboard, name: str, tell: Tell) -> RemoteFunction:
    """Tell of a deploy's log as it grows, until it has ended."""
    deadline = min(dashboard.deadline, time.monotonic() + _PATIENCE_SECONDS)
    shown, heard, found = 0, time.monotonic(), RemoteFunction("")
    while True:
        try:
            document = dashboard.require("GET", f"functions/{name}") or {}
            found, heard = read_function(document), time.monotonic()
            logs = (document.get("status") or {}).get("logs") or []
            # A log that is shorter than before is that of another deploy.
            shown = shown if shown <= len(logs) else 0
            tell(logs[shown:])
            shown = len(logs)
        except AwayError:
            if time.monotonic() > heard + _AWAY_SECONDS:
                raise
        if found.state in _GOOD | _BAD:
            return found
        if time.monotonic() > deadline:
            raise FunctionError(f"{name} is still {found.state or 'unknown'} at {dashboard.address}; look at it there.")
        time.sleep(_INTERVAL_SECONDS)


def _show(work: console.Work, logs: Sequence[Any]) -> None:
    """Show the new entries of a log; a build's own lines, which are many, only in passing."""
    for entry in logs:
        if not isinstance(entry, dict):
            continue
        moment, message = entry.get("time"), str(entry.get("message", ""))
        seconds = moment / 1000 if isinstance(moment, int | float) else time.time()
        work.follow([message])
        # A failure's whole message is told at the end.
        message = message.partition("\n")[0]
        if entry.get("name") != _BUILD:
            console.note(f"{time.strftime('%H:%M:%S', time.localtime(seconds))} {message}".rstrip())
