"""/api/projects: what functions belong together."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.function import DEFAULT_PROJECT
from stack.config.project import FunctionEvent, Project
from stack.dashboard.api.function_events import describe_event
from stack.dashboard.api.function_object import export_object, find_record, keep_wanted, read_wanted
from stack.dashboard.api.platform import find_namespace
from stack.dashboard.api.request import is_true, parse_document, read_model, read_object
from stack.dashboard.services import Services, services_of
from stack.errors import StackError
from stack.state.project import list_events, list_projects, remove_project, save_event, save_project

_AUTHOR, _REASON = "dashboard", "imported with its project"
# Why something was not imported, by its name.
Failures = dict[str, str]


def export_project(services: Services, project: Project) -> dict[str, Any]:
    """Return a project with its functions and their events, as Nuclio exports it; a function that is wrong is left out.

    Raises:
        ConfigError: stack.yaml is wrong.
        FunctionError: a function is too large for a document, or only this machine has its code.
    """
    settings = services.stack().settings
    name = project.metadata.name
    own = [one for one in services.catalogue.records() if one.project == name and not one.problem]
    names = {one.name for one in own}
    events = {key: one for key, one in list_events(services.workspace).items() if one.function in names}
    return {
        "project": {"metadata": _write(project.metadata), "spec": _write(project.spec)},
        "functions": {one.name: export_object(services.workspace, one, settings) for one in own},
        "functionEvents": {key: describe_event(one) for key, one in events.items()},
        "apiGateways": {},
    }


async def import_project(services: Services, document: dict[str, Any]) -> dict[str, Any]:
    """Take in what `export_project` returns; return Nuclio's account of what became of it.

    What is there already is left as it is, and counts as failed; events are given names of their own.

    Raises:
        HTTPException: something that it must have is missing.
        ConfigError: the project itself is wrong.
    """
    functions, events, gateways = (_read(document, key) for key in ("functions", "functionEvents", "apiGateways"))
    project = parse_document(Project, _read(document, "project"), name="project")
    name = project.metadata.name
    if name not in await run_in_threadpool(list_projects, services.workspace):
        await run_in_threadpool(save_project, services.workspace, project)
    lost = await _attempt_all(functions, lambda one: _import_function(services, one, project=name))
    lost_events = await _attempt_all(events, lambda one: _import_event(services, one, lost=lost))
    refused = dict.fromkeys(gateways, "API gateways are not supported on Docker")
    return {
        "functionImportResult": _account(functions, lost, noun="function", key="failedFunctions"),
        "functionEventImportResult": _account(events, lost_events, noun="functionEvent", key="failedFunctionEvents"),
        "apiGatewayImportResult": _account(gateways, refused, noun="apiGateway", key="failedAPIGateways"),
    }


async def _import_function(services: Services, given: dict[str, Any], *, project: str) -> None:
    wanted = read_wanted(given, project)
    async with services.jobs.turn:
        if await find_record(services, wanted.name):
            raise HTTPException(409, f"Cannot create two functions with the same name: {wanted.name}")
        await keep_wanted(services, wanted, before=None)
        if not wanted.is_import:
            await services.jobs.deploy(wanted.name, message=_REASON, author=_AUTHOR)


async def _import_event(services: Services, given: dict[str, Any], *, lost: Failures) -> None:
    event = parse_document(FunctionEvent, given, name="event")
    if event.function in lost:
        raise HTTPException(400, f"its function {event.function} was not imported")
    nameless = event.model_copy(update={"metadata": event.metadata.model_copy(update={"name": ""})})
    await run_in_threadpool(save_event, services.workspace, nameless)


async def _attempt_all(given: Mapping[str, Any], take: Callable[[dict[str, Any]], Awaitable[None]]) -> Failures:
    """Take in one after the other; return why some could not be."""
    failures: Failures = {}
    for name, one in given.items():
        try:
            if not isinstance(one, dict):
                raise HTTPException(400, f"should be an object, not {one!r:.60}")
            await take(one)
        except (HTTPException, StackError) as error:
            failures[name] = error.detail if isinstance(error, HTTPException) else str(error)
    return failures


def _write(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(by_alias=True, exclude_defaults=True)


def _account(given: Mapping[str, Any], failures: Failures, *, noun: str, key: str) -> dict[str, Any]:
    listed = [{noun: name, "error": reason} for name, reason in failures.items()]
    return {"createdAmount": len(given) - len(failures), "failedAmount": len(failures), key: listed}


def _read(document: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a part of an export; Nuclio's keys count whatever their case.

    Raises:
        HTTPException: 400, it is no object.
    """
    value = next((one for name, one in document.items() if name.lower() == key.lower()), None)
    if value is not None and not isinstance(value, dict):
        raise HTTPException(400, f"{key} should be an object.")
    return value or {}


RESTRICTED, CASCADING, _CHECK = "restricted", "cascading", "check"
_DEPRECATION = {"Deprecation": "true", "Link": '</api/projects/{name}>; rel="alternate"'}


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/projects", _list, methods=["GET"]),
        Route("/api/projects", _create, methods=["POST"]),
        Route("/api/projects", _update_by_body, methods=["PUT"]),
        Route("/api/projects", _delete, methods=["DELETE"]),
        Route("/api/projects/{name}", _find, methods=["GET"]),
        Route("/api/projects/{name}", _update, methods=["PUT"]),
    ]


def describe_project(project: Project, namespace: str) -> dict[str, Any]:
    """Return Nuclio's object of a project."""
    metadata = project.metadata.model_dump(by_alias=True, exclude_defaults=True) | {"namespace": namespace}
    return {"metadata": metadata, "spec": project.spec.model_dump(by_alias=True, exclude_defaults=True), "status": {}}


async def find_projects(services: Services) -> dict[str, Project]:
    """Return every project, those that only functions name too."""
    return await run_in_threadpool(list_projects, services.workspace, {one.project for one in await services.records()})


async def _list(request: Request) -> Response:
    services, namespace = services_of(request), await find_namespace(request)
    wanted = request.headers.get("x-nuclio-project-name", "")
    projects = await find_projects(services)
    chosen = {name: one for name, one in projects.items() if wanted in ("", name)}
    if is_true(request.query_params.get("export")):
        return JSONResponse(
            {name: await run_in_threadpool(export_project, services, one) for name, one in chosen.items()}
        )
    return JSONResponse({name: describe_project(one, namespace) for name, one in chosen.items()})


async def _find(request: Request) -> Response:
    name = request.path_params["name"]
    projects = await find_projects(services_of(request))
    if name not in projects:
        raise _missing(name)
    if is_true(request.query_params.get("export")):
        return JSONResponse(await run_in_threadpool(export_project, services_of(request), projects[name]))
    return JSONResponse(describe_project(projects[name], await find_namespace(request)))


async def _create(request: Request) -> Response:
    document = await read_object(request)
    if is_true(request.query_params.get("import")):
        return JSONResponse(await import_project(services_of(request), document), 201)
    project = parse_document(Project, document)
    await run_in_threadpool(save_project, services_of(request).workspace, project)
    return JSONResponse(describe_project(project, await find_namespace(request)), 201)


async def _update(request: Request) -> Response:
    project = await read_model(request, Project)
    if project.metadata.name != request.path_params["name"]:
        raise HTTPException(400, "The project's name in the path and in metadata.name differ.")
    await run_in_threadpool(save_project, services_of(request).workspace, project)
    return Response(status_code=204)


async def _update_by_body(request: Request) -> Response:
    """Update the project that the body or the header names, as MLRun does."""
    document = await read_object(request)
    if name := request.headers.get("x-nuclio-project-name"):
        metadata = document.get("metadata")
        document["metadata"] = {"name": name, **(metadata if isinstance(metadata, dict) else {})}
    project = parse_document(Project, document)
    await run_in_threadpool(save_project, services_of(request).workspace, project)
    headers = {key: value.format(name=project.metadata.name) for key, value in _DEPRECATION.items()}
    return Response(status_code=204, headers=headers)


async def _delete(request: Request) -> Response:
    metadata = (await read_object(request)).get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise HTTPException(400, "Project name must be provided in metadata")
    strategy = request.headers.get("x-nuclio-delete-project-strategy", "").lower() or RESTRICTED
    await delete_project(services_of(request), name, strategy=strategy)
    return Response(status_code=204)


async def delete_project(services: Services, name: str, *, strategy: str) -> None:
    """Delete a project, and its functions where the strategy is to cascade.

    Raises:
        HTTPException: it cannot be deleted; the message says why.
        StackError: a function cannot be removed.
    """
    if strategy not in (RESTRICTED, CASCADING, _CHECK):
        raise HTTPException(400, f"The strategy should be restricted, cascading or check, not {strategy!r}.")
    if name == DEFAULT_PROJECT:
        raise HTTPException(412, "Cannot delete the default project")
    if name not in await find_projects(services):
        if strategy == _CHECK:
            return
        raise _missing(name)
    functions = [one.name for one in await services.records() if one.project == name]
    if functions and strategy != CASCADING:
        raise HTTPException(412, f"Project contains functions: {', '.join(functions)}")
    if strategy != _CHECK:
        await _delete_functions(services, functions)
        await run_in_threadpool(remove_project, services.workspace, name)


async def _delete_functions(services: Services, names: list[str]) -> None:
    """Remove functions with their containers; a deploy that goes on is ended.

    Raises:
        StackError: one cannot be removed.
    """
    for name in names:
        await services.jobs.cancel(name)
        job = await services.jobs.remove(name)
        if why := await job.wait():
            raise StackError(why)


def _missing(name: str) -> HTTPException:
    return HTTPException(404, f"Project not found: {name}")
