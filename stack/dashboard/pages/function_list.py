"""The functions, by project; and new ones: from a template, or from Nuclio's YAML."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
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
from stack.errors import StackError
from stack.plan.function_import import Imported
from stack.plan.runtime.registry import RUNTIMES
from stack.run.catalogue import FunctionRecord
from stack.run.creation import CreationRequest, create_function, create_functions, create_project, list_templates
from stack.state.project import list_projects

_DEPLOYING = "Deploying {} functions; those that were rolled back, or whose folder has a problem, are left out."

_NEW = "/functions/new"
_YAML = "yaml"
# A function with its source within; the tutorial's has three kilobytes.
_MOST_BYTES = 20_000_000
_UNPROCESSABLE = 422


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
        Route(_NEW, show_creation),
        Route(_NEW, create_from_template, methods=["POST"]),
        Route(f"{_NEW}/{_YAML}", create_from_yaml, methods=["POST"]),
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
    await delete_project(
        services_of(request), request.path_params["name"], strategy=CASCADING if is_cascading else RESTRICTED
    )
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


async def show_creation(request: Request) -> Response:
    """Show what a function can begin from."""
    services, query = services_of(request), request.query_params
    return render(
        request,
        "creation.html",
        is_yaml=query.get("from") == _YAML,
        templates=await run_in_threadpool(list_templates),
        runtimes=tuple(RUNTIMES.values()),
        projects=await run_in_threadpool(_list_names, services),
        chosen_project=query.get("project", ""),
        chosen_template=query.get("template", "http"),
    )


async def create_from_template(request: Request) -> Response:
    """Make a function, and lead to its code; or say why it cannot be made."""
    form = await _read_form(request)
    wanted, template = _read_wanted(form), str(form.get("template", ""))
    return await _create(
        request, wanted, create=lambda: create_function(services_of(request).workspace, wanted, template=template)
    )


async def create_from_yaml(request: Request) -> Response:
    """Make the functions of a document, and lead to the code of the only one, or to all."""
    form = await _read_form(request)
    wanted, text, to_broker = _read_wanted(form), str(form.get("text", "")), "to_broker" in form
    workspace = services_of(request).workspace
    return await _create(
        request, wanted, create=lambda: create_functions(workspace, wanted, text=text, to_broker=to_broker)
    )


async def _create(
    request: Request, wanted: CreationRequest, *, create: Callable[[], tuple[Imported, ...] | None]
) -> Response:
    try:
        made = await run_in_threadpool(create)
    except StackError as error:
        return render(request, "_creation_problem.html", status=_UNPROCESSABLE, problems=str(error).splitlines())
    services_of(request).catalogue.forget()
    names = [one.name for one in made] if made else [wanted.name]
    notes = [f"{one.name}: {note}" for one in made or () for note in one.notes]
    if notes:
        return render(request, "_creation_done.html", names=names, notes=notes)
    address = f"/functions/{names[0]}/code" if len(names) == 1 else "/functions"
    return Response(status_code=204, headers={"HX-Redirect": address})


async def _read_form(request: Request) -> FormData:
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > _MOST_BYTES:
        raise HTTPException(
            413, f"A YAML of more than {_MOST_BYTES // 1_000_000} MB is imported on the machine instead."
        )
    return await request.form(max_part_size=_MOST_BYTES)


def _read_wanted(form: FormData) -> CreationRequest:
    return CreationRequest(*(str(form.get(key, "")).strip() for key in ("name", "project", "runtime")))


def _list_names(services: Services) -> list[str]:
    used = {one.project for one in services.catalogue.records()}
    return sorted({*list_projects(services.workspace, used), DEFAULT_PROJECT})
