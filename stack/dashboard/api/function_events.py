"""/api/function_events: what functions were tried with, kept to try it again."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.project import FunctionEvent
from stack.dashboard.api.platform import find_namespace
from stack.dashboard.api.request import read_model
from stack.dashboard.services import services_of
from stack.state.project import list_events, remove_event, save_event


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/function_events", _list, methods=["GET"]),
        Route("/api/function_events", _create, methods=["POST"]),
        Route("/api/function_events", _update, methods=["PUT"]),
        Route("/api/function_events", _delete, methods=["DELETE"]),
        Route("/api/function_events/{name}", _find, methods=["GET"]),
    ]


def describe_event(event: FunctionEvent, namespace: str = "") -> dict[str, Any]:
    """Return Nuclio's object of an event; an exported one has no namespace."""
    metadata = {"name": event.metadata.name, "labels": event.metadata.labels}
    place = {"namespace": namespace} if namespace else {}
    return {"metadata": {**metadata, **place}, "spec": event.spec.model_dump(by_alias=True)}


async def _list(request: Request) -> Response:
    function, wanted = (request.headers.get(f"x-nuclio-function-{key}", "") for key in ("name", "event-name"))
    events = await run_in_threadpool(list_events, services_of(request).workspace, function)
    namespace = await find_namespace(request)
    return JSONResponse({name: describe_event(one, namespace) for name, one in events.items() if wanted in ("", name)})


async def _find(request: Request) -> Response:
    event = await _require(request, request.path_params["name"])
    return JSONResponse(describe_event(event, await find_namespace(request)))


async def _create(request: Request) -> Response:
    event = await read_model(request, FunctionEvent)
    saved = await run_in_threadpool(save_event, services_of(request).workspace, event)
    return JSONResponse(describe_event(saved, await find_namespace(request)), 201)


async def _update(request: Request) -> Response:
    event = await _read_named(request)
    known = await _require(request, event.metadata.name)
    metadata = event.metadata.model_copy(update={"labels": known.metadata.labels | event.metadata.labels})
    updated = event.model_copy(update={"metadata": metadata})
    await run_in_threadpool(save_event, services_of(request).workspace, updated)
    return Response(status_code=204)


async def _delete(request: Request) -> Response:
    event = await _read_named(request)
    await _require(request, event.metadata.name)
    await run_in_threadpool(remove_event, services_of(request).workspace, event.metadata.name)
    return Response(status_code=204)


async def _read_named(request: Request) -> FunctionEvent:
    event = await read_model(request, FunctionEvent)
    if not event.metadata.name:
        raise HTTPException(400, "Function event name must be provided in metadata")
    return event


async def _require(request: Request, name: str) -> FunctionEvent:
    events = await run_in_threadpool(list_events, services_of(request).workspace)
    if name not in events:
        raise HTTPException(404, f"Function event not found: {name}")
    return events[name]
