"""/api/functions/NAME/replicas and /logs/REPLICA: a function's containers, and what they say."""

import time
from collections.abc import AsyncIterator

from aiodocker import Docker
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from stack.contract import parse_duration
from stack.dashboard.api.function_object import find_record
from stack.dashboard.services import services_of
from stack.docker.container import Container
from stack.live.docker import FAILURES, AsyncEngine


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/functions/{name}/replicas", _list, methods=["GET"]),
        Route("/api/functions/{name}/logs/{replica}", _tell_logs, methods=["GET"]),
    ]


async def _list(request: Request) -> Response:
    return JSONResponse({"names": [one.name for one in await _find_containers(request)]})


async def _tell_logs(request: Request) -> Response:
    """Send a container's log as it is, and go on as it grows unless the client says otherwise."""
    query, replica = _read_query(request), request.path_params["replica"]
    container = next((one for one in await _find_containers(request) if one.name == replica), None)
    if container is None:
        raise HTTPException(400, f"Function {request.path_params['name']} has no replica {replica}")
    settings = (await run_in_threadpool(services_of(request).stack)).settings
    return StreamingResponse(_follow(settings.project, container, query), media_type="text/plain")


async def _find_containers(request: Request) -> list[Container]:
    name = request.path_params["name"]
    if await find_record(services_of(request), name) is None:
        raise HTTPException(404, f"Function not found: {name}")
    engine = (await run_in_threadpool(services_of(request).stack)).engine
    containers = await run_in_threadpool(engine.containers)
    return [one for one in containers if one.function == name]


async def _follow(project: str, container: Container, query: str) -> AsyncIterator[str]:
    async with Docker() as docker:
        try:
            # Finds out which of its versions Docker speaks.
            await docker.version()
            async for text in AsyncEngine(docker, project).texts(container.id, query):
                yield text
        except FAILURES:
            # The container is gone, and so is what it would have said.
            return


def _read_query(request: Request) -> str:
    """Return Docker's options for what a client asks.

    Raises:
        HTTPException: 400, a number or a duration is none.
    """
    given = request.query_params
    follow = given.get("follow", "true").lower() != "false"
    tail = given.get("tailLines") or "all"
    if tail != "all" and not (tail.isascii() and tail.isdecimal()):
        raise HTTPException(400, f"tailLines should be a number of lines, not {tail!r}")
    try:
        since = time.time() - parse_duration(given["since"]) if given.get("since") else 0.0
    except ValueError as error:
        raise HTTPException(400, f"since {error}") from error
    return f"follow={int(follow)}&tail={tail}&since={max(since, 0.0):.9f}"
