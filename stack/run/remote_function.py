"""A function at another dashboard, ours or Nuclio's own: deployed, rolled back, and how it is there."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from stack import console
from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL
from stack.config.settings import load_settings
from stack.config.source import find_folder
from stack.errors import FunctionError
from stack.plan.image import split_reference
from stack.run.import_export import make_export
from stack.run.remote import Answer, AwayError, RemoteDashboard, open_dashboard
from stack.state.workspace import open_workspace

# A function's states in which nothing more happens by itself.
_GOOD = frozenset({"ready", "scaledToZero", "standby", "imported"})
_BAD = frozenset({"error", "unhealthy"})
# What Tidegate calls the logger of a build's own lines.
_BUILD = "build"
_INTERVAL_SECONDS = 1.0
# A build that downloads a lot takes minutes.
_PATIENCE_SECONDS = 1800.0


# What is left of the time of a site for its last answer.
_LAST_SECONDS = 0.5
# How long a dashboard may be away meanwhile: it starts again, or its line is cut.
_AWAY_SECONDS = 120.0
# How often a deploy is sent of which a dashboard knows nothing, since it was started again.
_ATTEMPTS = 3


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
    known = _read_object(document)
    status, spec = _read_object(known.get("status")), _read_object(known.get("spec"))
    tag = split_reference(str(spec.get("image") or ""))[1]
    addresses, revision = status.get("externalInvocationUrls"), status.get("revision")
    return RemoteFunction(
        str(status.get("state") or ""),
        str(status.get("message") or ""),
        tuple(map(str, addresses)) if isinstance(addresses, list) else (),
        revision if isinstance(revision, int) else 0,
        str(status.get("version") or ("" if tag == "latest" else tag)),
    )


def _read_object(document: Any) -> Mapping[str, Any]:
    return document if isinstance(document, dict) else {}


def deploy_remotely(name: str, url: str, seconds: float) -> None:
    """Deploy functions/NAME through the dashboard at a URL, show what it says meanwhile, and where it answers then.

    Raises:
        FunctionError: there is no such function, the dashboard refused it, or it does not come up there in time.
        HostError: the dashboard cannot be reached.
    """
    workspace, dashboard = open_workspace(), replace(open_dashboard(url), deadline=time.monotonic() + seconds)
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
    name = document["metadata"]["name"]
    project = _prepare_project(dashboard, document)
    answer = dashboard.ask("GET", f"functions/{name}")
    before = _read_end(answer) if answer.is_good else _End(RemoteFunction(""))
    method, path = ("PUT", f"functions/{name}") if answer.is_good else ("POST", "functions")
    labels = {**document["metadata"].get("labels", {}), PROJECT_LABEL: project}
    sent = {**document, "metadata": {**document["metadata"], "labels": labels}}
    headers = {"X-Nuclio-Project-Name": project}
    # To send the same again changes nothing.
    again = partial(dashboard.require, "PUT", f"functions/{name}", sent, headers)
    try:
        dashboard.require(method, path, sent, headers)
    except AwayError:
        # It may have heard that, or not.
        if not _has_begun(dashboard, name, before=before.function):
            again()
    return _follow_until_sure(dashboard, name, tell=tell, before=before, again=again)


def _follow_until_sure(
    dashboard: RemoteDashboard, name: str, *, tell: Tell, before: "_End", again: Callable[[], object]
) -> RemoteFunction:
    """Follow a deploy to its end; one that its dashboard has forgotten, since it was started again, is sent again."""
    for number in range(_ATTEMPTS):
        if number:
            again()
        end = _follow(dashboard, name, tell=tell)
        if not end.may_be_older(before):
            return end.function
    raise FunctionError(f"{dashboard.address} was away again and again, and may not have {name} yet; type this again.")


def roll_back_at(dashboard: RemoteDashboard, name: str, number: int) -> RemoteFunction:
    """Go back to an older revision of a function; return how it is then. With 0 it is the one before what runs.

    Raises:
        FunctionError: the dashboard refused it, or it did not come up: what ran runs on.
        HostError: the dashboard cannot be reached.
    """
    before = read_function(dashboard.fetch_mapping(f"functions/{name}"))
    try:
        dashboard.require("POST", f"functions/{name}/rollback", {"revision": number})
    except AwayError:
        # What it has heard must not be sent again: it would go one revision further.
        if not _has_begun(dashboard, name, before=before):
            raise
    found = _follow(dashboard, name, tell=lambda _: None).function
    if found.revision == before.revision:
        raise FunctionError(f"{dashboard.address} has not gone back: {found.message or 'it does not say why'}")
    return found


def _prepare_project(dashboard: RemoteDashboard, document: dict[str, Any]) -> str:
    """Return the project of a function, which is made if need be."""
    project = str(document["metadata"].get("labels", {}).get(PROJECT_LABEL, DEFAULT_PROJECT))
    if project not in dashboard.fetch_mapping("projects"):
        dashboard.require("POST", "projects", {"metadata": {"name": project}, "spec": {}})
    return project


def _has_begun(dashboard: RemoteDashboard, name: str, *, before: RemoteFunction) -> bool:
    """Return whether a dashboard that was away has begun what it was asked, once it answers again."""
    answer = _ask_patiently(dashboard, f"functions/{name}", heard=time.monotonic())
    now = read_function(answer.document)
    return answer.is_good and (now.revision != before.revision or now.state not in _GOOD | _BAD)


def _ask_patiently(dashboard: RemoteDashboard, path: str, *, heard: float) -> Answer:
    """Return the answer of a dashboard that may be away for a while, since it was heard."""
    was_away = False
    while True:
        try:
            return replace(dashboard.ask("GET", path), was_away=was_away)
        except AwayError:
            was_away = True
            now = time.monotonic()
            if now > min(heard + _AWAY_SECONDS, dashboard.deadline):
                raise
            time.sleep(_INTERVAL_SECONDS)


@dataclass(frozen=True)
class _End:
    """How a function is when nothing is under way any more, with the time at which its last deploy began there."""

    function: RemoteFunction
    begun: float = 0.0
    """0 where its dashboard tells of none."""
    was_away: bool = False

    def may_be_older(self, before: "_End") -> bool:
        """Return whether it may be as it was before: its dashboard has started again since, and forgotten the rest."""
        is_other = self.function.revision != before.function.revision
        return not (is_other or self.function.has_failed) and (self.was_away or 0 < self.begun == before.begun)


def _read_end(answer: Answer, *, was_away: bool = False) -> _End:
    logs = _read_object(_read_object(answer.document).get("status")).get("logs")
    first = _read_object(logs[0]).get("time") if isinstance(logs, list) and logs else 0
    begun = float(first) if isinstance(first, int | float) else 0.0
    return _End(read_function(answer.document), begun, was_away)


def _follow(dashboard: RemoteDashboard, name: str, *, tell: Tell) -> _End:
    """Tell of a deploy's log as it grows, until it has ended."""
    deadline = min(dashboard.deadline - _LAST_SECONDS, time.monotonic() + _PATIENCE_SECONDS)
    shown, path, was_away = 0, f"functions/{name}", False
    while True:
        answer = _ask_patiently(dashboard, path, heard=time.monotonic())
        was_away |= answer.was_away
        document = dashboard.expect_mapping(answer, path)
        found, told = read_function(document), _read_object(document.get("status")).get("logs")
        logs = told if isinstance(told, list) else []
        # A log that is shorter than before is that of another deploy.
        shown = shown if shown <= len(logs) else 0
        tell(logs[shown:])
        shown = len(logs)
        if found.state in _GOOD | _BAD:
            return _read_end(answer, was_away=was_away)
        if time.monotonic() > deadline:
            raise FunctionError(f"{name} is still {found.state or 'unknown'} at {dashboard.address}; look at it there.")
        time.sleep(min(_INTERVAL_SECONDS, max(0.0, deadline - time.monotonic())))


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
