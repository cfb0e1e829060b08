"""New functions: from a template, or from Nuclio's YAML."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.function import DEFAULT_PROJECT
from stack.dashboard.page import render
from stack.dashboard.services import Services, services_of
from stack.errors import StackError
from stack.plan.function_import import Imported
from stack.run.creation import CreationRequest, create_function, create_functions, list_templates
from stack.state.project import list_projects

_PATH = "/functions/new"
_YAML = "yaml"
# A function with its source within; the tutorial's has three kilobytes.
_MOST_BYTES = 20_000_000
_UNPROCESSABLE = 422


def routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [
        Route(_PATH, show_page),
        Route(_PATH, create_from_template, methods=["POST"]),
        Route(f"{_PATH}/{_YAML}", create_from_yaml, methods=["POST"]),
    ]


async def show_page(request: Request) -> Response:
    """Show what a function can begin from."""
    services, query = services_of(request), request.query_params
    return render(
        request,
        "creation.html",
        is_yaml=query.get("from") == _YAML,
        templates=await run_in_threadpool(list_templates),
        projects=await run_in_threadpool(_list_projects, services),
        chosen_project=query.get("project", ""),
        chosen_template=query.get("template", "http"),
    )


async def create_from_template(request: Request) -> Response:
    """Make a function, and lead to its code; or say why it cannot be made."""
    form = await _read_form(request)
    wanted, template = _read_wanted(form), str(form.get("template", ""))
    return await _create(request, wanted, lambda: create_function(services_of(request).workspace, wanted, template))


async def create_from_yaml(request: Request) -> Response:
    """Make the functions of a document, and lead to the code of the only one, or to all."""
    form = await _read_form(request)
    wanted, text, to_broker = _read_wanted(form), str(form.get("text", "")), "to_broker" in form
    workspace = services_of(request).workspace
    return await _create(request, wanted, lambda: create_functions(workspace, wanted, text, to_broker=to_broker))


async def _create(
    request: Request, wanted: CreationRequest, create: Callable[[], tuple[Imported, ...] | None]
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
    return await request.form()


def _read_wanted(form: FormData) -> CreationRequest:
    return CreationRequest(*(str(form.get(key, "")).strip() for key in ("name", "project")))


def _list_projects(services: Services) -> list[str]:
    used = {one.project for one in services.catalogue.records()}
    return sorted({*list_projects(services.workspace, used), DEFAULT_PROJECT})
