"""The functions, by project."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.config.function import DEFAULT_PROJECT
from stack.config.source import function_folders
from stack.dashboard.api.projects import CASCADING, RESTRICTED, delete_project
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.pages.function import add_toast, author_of, read_form
from stack.dashboard.services import Services, services_of
from stack.run.catalogue import FunctionRecord
from stack.run.creation import create_project
from stack.state.project import list_projects

_DEPLOYING = "Deploying {} functions; those that were rolled back, or whose folder has a problem, are left out."


@dataclass(frozen=True)
class Group:
    """A project and its functions."""

    name: str
    description: str
    functions: tuple[FunctionRecord, ...]

    @property
    def is_removable(self) -> bool:
        """Return whether the project can be deleted."""
        return self.name != DEFAULT_PROJECT


class NewProject(Document):
    """A project that is to be made."""

    name: str
    description: str = Field("", max_length=200)


def _describe(services: Services, _: str, known: Known) -> dict[str, Any]:
    groups = list_groups(services)
    count = sum(len(group.functions) for group in groups)
    return {"groups": groups, "count": count, "figures": known["functions"] or {}}


LIST = Fragment("functions-list", "_functions.html", ("functions",), _describe)


def routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [
        Route("/functions", show_functions),
        Route("/functions/deploy", deploy_all, methods=["POST"]),
        Route("/functions/{name}/menu", show_menu),
        Route("/projects", make_project, methods=["POST"]),
        Route("/projects/{name}/delete", ask_to_delete_project),
        Route("/projects/{name}/delete", delete_project_of_name, methods=["POST"]),
    ]


async def show_functions(request: Request) -> Response:
    """Show every function."""
    return render(request, "functions.html", **await look(request, LIST.name))


async def deploy_all(request: Request) -> Response:
    """Begin to deploy every function of functions/ that was not rolled back, a few at a time."""
    services = services_of(request)
    records = await run_in_threadpool(services.catalogue.records)
    folders = function_folders(services.workspace.root)
    able = [one for one in records if one.name in folders and not one.problem and not one.is_rolled_back]
    names = [one.name for one in able if not services.jobs.running(one.name)]
    services.jobs.deploy_all(names, author=author_of(request))
    return add_toast(Response(status_code=204), _DEPLOYING.format(len(names)))


async def show_menu(request: Request) -> Response:
    """Show what can be done with one function: a list of a hundred would else bring a hundred menus."""
    return render(request, "_function_menu.html", name=request.path_params["name"])


async def make_project(request: Request) -> Response:
    """Make a project."""
    services, wanted = services_of(request), await read_form(request, NewProject)
    used = {one.project for one in await run_in_threadpool(services.catalogue.records)}
    await run_in_threadpool(create_project, services.workspace, wanted.name, wanted.description, used=used)
    return await _show_list(request)


async def ask_to_delete_project(request: Request) -> Response:
    """Show what goes when a project is deleted."""
    name, records = request.path_params["name"], await services_of(request).records()
    functions = [one.name for one in records if one.project == name]
    return render(request, "_delete_project.html", name=name, functions=functions)


async def delete_project_of_name(request: Request) -> Response:
    """Delete a project, with its functions if the form says so."""
    is_cascading = "cascading" in await request.form()
    await delete_project(services_of(request), request.path_params["name"], CASCADING if is_cascading else RESTRICTED)
    return await _show_list(request)


async def _show_list(request: Request) -> Response:
    """Show the list alone: no topic tells that projects come and go."""
    return render(request, "_functions.html", **await look(request, LIST.name))


def list_groups(services: Services) -> tuple[Group, ...]:
    """Return every project with its functions; the default one only if it has some, or there is no other."""
    records = services.catalogue.records()
    projects = list_projects(services.workspace, {one.project for one in records})
    groups = [
        Group(name, project.spec.description, tuple(one for one in records if one.project == name))
        for name, project in projects.items()
    ]
    others = [group for group in groups if group.functions or group.is_removable]
    return tuple(others or groups)
