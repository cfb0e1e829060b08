"""Deploying through a dashboard elsewhere: `deploy-function NAME --via URL`."""

import time
from dataclasses import dataclass
from typing import Any

from stack import console
from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL
from stack.config.settings import load_settings
from stack.config.source import find_folder
from stack.errors import FunctionError
from stack.run.catalogue.exchange import make_export
from stack.run.remote.dashboard import RemoteDashboard, open_dashboard
from stack.run.workspace import open_workspace

# A function's states in which nothing more happens by itself.
_GOOD = frozenset({"ready", "scaledToZero", "standby", "imported"})
_BAD = frozenset({"error", "unhealthy"})
# What Tidegate calls the logger of a build's own lines.
_BUILD = "build"
_INTERVAL_SECONDS = 1.0
# A build that downloads a lot takes minutes.
_PATIENCE_SECONDS = 1800.0


@dataclass(frozen=True)
class Outcome:
    """How a function is there, and where it answers."""

    state: str
    message: str
    addresses: tuple[str, ...]


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
        _submit(dashboard, exported.document)
        outcome = _follow(dashboard, name, work)
    if outcome.state in _BAD:
        why = outcome.message.strip() or "its dashboard does not say why"
        raise FunctionError(f"{name} did not come up at {dashboard.address}, it is {outcome.state}: {why}")
    console.success(f"{name} is {outcome.state} at {dashboard.address}.")
    for address in outcome.addresses:
        console.show(f"http://{address}")


def _submit(dashboard: RemoteDashboard, document: dict[str, Any]) -> None:
    """Have a function deployed: created, or in the place of what has its name; its project is made if need be."""
    metadata = document["metadata"]
    project = metadata.setdefault("labels", {}).setdefault(PROJECT_LABEL, DEFAULT_PROJECT)
    if project not in (dashboard.require("GET", "projects") or {}):
        dashboard.require("POST", "projects", {"metadata": {"name": project}, "spec": {}})
    path = f"functions/{metadata['name']}"
    headers = {"X-Nuclio-Project-Name": project}
    if dashboard.ask("GET", path).is_good:
        dashboard.require("PUT", path, document, headers)
    else:
        dashboard.require("POST", "functions", document, headers)


def _follow(dashboard: RemoteDashboard, name: str, work: console.Work) -> Outcome:
    """Show a deploy's log as it grows, until it has ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    shown = 0
    while True:
        status = (dashboard.require("GET", f"functions/{name}") or {}).get("status") or {}
        logs = status.get("logs") or []
        # A log that is shorter than before is that of another deploy.
        shown = shown if shown <= len(logs) else 0
        _show(logs[shown:], work)
        shown = len(logs)
        state = str(status.get("state", ""))
        if state in _GOOD | _BAD:
            addresses = tuple(map(str, status.get("externalInvocationUrls") or ()))
            return Outcome(state, str(status.get("message") or ""), addresses)
        if time.monotonic() > deadline:
            raise FunctionError(f"{name} is still {state or 'unknown'} at {dashboard.address}; look at it there.")
        time.sleep(_INTERVAL_SECONDS)


def _show(logs: list[Any], work: console.Work) -> None:
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
