"""/api/projects: what functions belong together."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.function import DEFAULT_PROJECT
from stack.config.project import Project
from stack.dashboard.api.body import is_true, parse_document, read_model, read_object
from stack.dashboard.api.namespaces import find_namespace
from stack.dashboard.api.project_transfer import export_project, import_project
from stack.dashboard.desk import Desk, desk_of
from stack.errors import StackError
from stack.run.catalogue.project import list_projects, remove_project, save_project

_RESTRICTED, _CASCADING, _CHECK = "restricted", "cascading", "check"
_DEPRECATION = {"Deprecation": "true", "Link": '</api/projects/{name}>; rel="alternate"'}


@dataclass(frozen=True)
class Deletion:
    """Which project is to be deleted, and what to do about its functions."""

    name: str
    strategy: str


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


async def find_projects(desk: Desk) -> dict[str, Project]:
    """Return every project, those that only functions name too."""
    return await run_in_threadpool(list_projects, desk.workspace, {one.project for one in await desk.records()})


async def _list(request: Request) -> Response:
    desk, namespace = desk_of(request), await find_namespace(request)
    wanted = request.headers.get("x-nuclio-project-name", "")
    projects = await find_projects(desk)
    chosen = {name: one for name, one in projects.items() if wanted in ("", name)}
    if is_true(request.query_params.get("export")):
        return JSONResponse({name: await run_in_threadpool(export_project, desk, one) for name, one in chosen.items()})
    return JSONResponse({name: describe_project(one, namespace) for name, one in chosen.items()})


async def _find(request: Request) -> Response:
    name = request.path_params["name"]
    projects = await find_projects(desk_of(request))
    if name not in projects:
        raise _missing(name)
    if is_true(request.query_params.get("export")):
        return JSONResponse(await run_in_threadpool(export_project, desk_of(request), projects[name]))
    return JSONResponse(describe_project(projects[name], await find_namespace(request)))


async def _create(request: Request) -> Response:
    document = await read_object(request)
    if is_true(request.query_params.get("import")):
        return JSONResponse(await import_project(desk_of(request), document), 201)
    project = parse_document(Project, document)
    await run_in_threadpool(save_project, desk_of(request).workspace, project)
    return JSONResponse(describe_project(project, await find_namespace(request)), 201)


async def _update(request: Request) -> Response:
    project = await read_model(request, Project)
    if project.metadata.name != request.path_params["name"]:
        raise HTTPException(400, "The project's name in the path and in metadata.name differ.")
    await run_in_threadpool(save_project, desk_of(request).workspace, project)
    return Response(status_code=204)


async def _update_by_body(request: Request) -> Response:
    """Update the project that the body or the header names, as MLRun does."""
    document = await read_object(request)
    if name := request.headers.get("x-nuclio-project-name"):
        metadata = document.get("metadata")
        document["metadata"] = {"name": name, **(metadata if isinstance(metadata, dict) else {})}
    project = parse_document(Project, document)
    await run_in_threadpool(save_project, desk_of(request).workspace, project)
    headers = {key: value.format(name=project.metadata.name) for key, value in _DEPRECATION.items()}
    return Response(status_code=204, headers=headers)


async def _delete(request: Request) -> Response:
    metadata = (await read_object(request)).get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise HTTPException(400, "Project name must be provided in metadata")
    strategy = request.headers.get("x-nuclio-delete-project-strategy", "").lower() or _RESTRICTED
    await _see_to(desk_of(request), Deletion(name, strategy))
    return Response(status_code=204)


async def _see_to(desk: Desk, deletion: Deletion) -> None:
    name, strategy = deletion.name, deletion.strategy
    if strategy not in (_RESTRICTED, _CASCADING, _CHECK):
        raise HTTPException(400, f"The strategy should be restricted, cascading or check, not {strategy!r}.")
    if name == DEFAULT_PROJECT:
        raise HTTPException(412, "Cannot delete the default project")
    if name not in await find_projects(desk):
        if strategy == _CHECK:
            return
        raise _missing(name)
    functions = [one.name for one in await desk.records() if one.project == name]
    if functions and strategy != _CASCADING:
        raise HTTPException(412, f"Project contains functions: {', '.join(functions)}")
    if strategy != _CHECK:
        await _delete_functions(desk, functions)
        await run_in_threadpool(remove_project, desk.workspace, name)


async def _delete_functions(desk: Desk, names: list[str]) -> None:
    """Remove functions with their containers; a deploy that goes on is ended.

    Raises:
        StackError: one cannot be removed.
    """
    for name in names:
        await desk.jobs.cancel(name)
        job = await desk.jobs.remove(name)
        if why := await job.wait():
            raise StackError(why)


def _missing(name: str) -> HTTPException:
    return HTTPException(404, f"Project not found: {name}")
