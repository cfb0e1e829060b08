"""One function: the frame that its tabs share, and what is known of it in its head."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.source import function_folders
from stack.dashboard.desk import desk_of
from stack.dashboard.page import render
from stack.run.deployment import load_deployments
from stack.run.function import describe_functions
from stack.run.stack import Stack


@dataclass(frozen=True)
class Tab:
    """A page of a function: the last part of its address, and its title."""

    path: str
    title: str


TABS = (
    Tab("code", "Code"),
    Tab("test", "Test"),
    Tab("triggers", "Triggers"),
    Tab("logs", "Logs"),
    Tab("metrics", "Metrics"),
    Tab("dead-letters", "Dead letters"),
    Tab("revisions", "Revisions"),
)


@dataclass(frozen=True)
class Card:
    """What the head of a function's pages says."""

    name: str
    project: str
    state: str
    url: str
    revision: int
    replicas: int
    is_disabled: bool
    problem: str


def routes() -> list[BaseRoute]:
    """Return the routes of the frame."""
    return [Route("/functions/{name}", lead_to_code)]


async def lead_to_code(request: Request) -> Response:
    """Lead to the first tab."""
    return RedirectResponse(f"/functions/{request.path_params['name']}/{TABS[0].path}", 303)


async def render_tab(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a tab of the function that the address names; its template extends function.html.

    Raises:
        HTTPException: there is no such function.
    """
    name = request.path_params["name"]
    card = await run_in_threadpool(_find_card, desk_of(request).stack(), name)
    here = request.url.path.split("/")[3]
    tab = next(tab for tab in TABS if tab.path == here)
    return render(request, template, status=status, function=card, tabs=TABS, tab=tab, **context)


def _find_card(stack: Stack, name: str) -> Card:
    service = next((one for one in stack.inputs.services if one.plan.name == name), None)
    if service is None:
        if name not in function_folders(stack.workspace.root):
            raise HTTPException(404, f"There is no function {name!r}.")
        return Card(name, "default", "error", "", 0, 0, False, "Its function.yaml is wrong.")
    status = describe_functions(stack, [service])[0]
    deployment = load_deployments(stack.workspace).get(name)
    return Card(
        name,
        status.project,
        status.state,
        status.url,
        deployment.revision if deployment else 0,
        status.replicas,
        service.plan.spec.disable,
        "",
    )
