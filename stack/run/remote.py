"""Another dashboard, ours or Nuclio's own, over Nuclio's REST API."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from stack import console
from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL
from stack.config.settings import load_settings
from stack.config.source import find_folder
from stack.errors import FunctionError, HostError
from stack.run.import_export import make_export
from stack.state.http_client import basic_authorization, explain, open_local_pool, open_pool
from stack.state.workspace import open_workspace

# A bearer token, where the address has no user and password.
TOKEN_VARIABLE = "TIDEGATE_TOKEN"

# A server may hold its answer for a minute, until it has begun to build.
_TIMEOUT_SECONDS = 90
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Answer:
    """What a dashboard answers: HTTP's status, and the JSON that came with it."""

    status: int
    document: Any

    @property
    def is_good(self) -> bool:
        """Return whether it did what was asked."""
        return self.status // 100 == 2

    @property
    def error(self) -> str:
        """Return its words for what went wrong."""
        known = self.document if isinstance(self.document, dict) else {}
        return str(known.get("error") or f"status {self.status}")


@dataclass(frozen=True)
class RemoteDashboard:
    """A dashboard at an address, which is shown without the credentials that it may hold."""

    address: str
    authorization: str = field(default="", repr=False)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request to a path below /api; return the answer, whatever its status.

        Raises:
            HostError: no one answers, somebody else does, or asks for a login.
        """
        is_local = _is_local(urlsplit(self.address).hostname or "")
        options: dict[str, Any] = {
            "headers": self._headers(headers or {}),
            "timeout": _TIMEOUT_SECONDS,
            "preload_content": False,
        }
        try:
            # No redirect is followed: credentials and changes are for the address that was given.
            with (
                open_local_pool() if is_local else open_pool(self.address) as pool,
                pool.request(method, f"{self.address}/api/{path}", json=body, **options) as answer,
            ):
                return Answer(answer.status, self._read(answer))
        except (HTTPError, ValueError) as error:
            raise HostError(
                f"{self.address} does not answer: {explain(error)}. Check the address, and that it runs."
            ) from error

    def require(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request that has to succeed; return what came back.

        Raises:
            FunctionError: the dashboard refused it; the message has its words.
            HostError: no one answers, somebody else does, or asks for a login.
        """
        answer = self.ask(method, path, body, headers)
        if not answer.is_good:
            raise FunctionError(f"{self.address} refused it: {answer.error}")
        return answer.document

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        login = {"Authorization": self.authorization} if self.authorization else {}
        return {"Content-Type": "application/json", "Accept": "application/json", **login, **headers}

    def _read(self, answer: BaseHTTPResponse) -> Any:
        if answer.status == 401:
            advice = f"Type --via http://USER:PASSWORD@HOST, or put a token into the variable {TOKEN_VARIABLE}."
            raise HostError(f"{self.address} asks for a login, or knows this one not. {advice}")
        if answer.status // 100 == 3:
            elsewhere = answer.headers.get("Location")
            raise HostError(f"{self.address} sends elsewhere, to {elsewhere}; type that after --via.")
        content = answer.read(_MOST_BYTES)
        try:
            return json.loads(content) if content else None
        except ValueError:
            raise HostError(f"{self.address} is no dashboard of Nuclio's kind: its answer is no JSON.") from None


def open_dashboard(url: str) -> RemoteDashboard:
    """Return the dashboard at a URL, such as http://user:password@host:8070; a token may be in TIDEGATE_TOKEN.

    Raises:
        HostError: that is no URL.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise HostError("--via should be a dashboard's address, such as http://localhost:8070.")
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/").removesuffix("/api")
    return RemoteDashboard(f"{parts.scheme}://{host}{path}", _authorize(parts))


def _authorize(parts: SplitResult) -> str:
    if parts.username is not None:
        return basic_authorization(unquote(parts.username), unquote(parts.password or ""))
    token = os.environ.get(TOKEN_VARIABLE, "")
    return f"Bearer {token}" if token else ""


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


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
