"""/api/functions: what there is, how it is, changes of it, its containers and what they say."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from aiodocker import Docker
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.contract import parse_duration
from stack.dashboard.api.function_object import (
    IMPORTED,
    OWN_BROKER,
    VERSION,
    FunctionRequest,
    Listing,
    check_free,
    check_version,
    describe_object,
    describe_state,
    export_object,
    find_record,
    keep_wanted,
    read_name,
    read_wanted,
)
from stack.dashboard.api.platform import find_addresses
from stack.dashboard.api.request import is_true, read_model, read_object
from stack.dashboard.security.auth import user_of
from stack.dashboard.services import Services, add_troubles, services_of
from stack.docker.container import Container
from stack.errors import StackError
from stack.live.docker import FAILURES, AsyncEngine
from stack.run.catalogue import FunctionRecord
from stack.run.function_status import BUILDING
from stack.run.job import Job

_JSON = "application/json"
_ACCEPTED = 202
# Seconds that an answer waits for a rollback.
_SOON = 20.0
# Who deploys where no one has to log in, and why.
_AUTHOR, _REASON = "dashboard", "through the API"


class RollbackBody(Document):
    """The revision to go back to; 0 is the one before what runs."""

    revision: int = Field(0, ge=0)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/functions", _list, methods=["GET"]),
        Route("/api/functions", _create, methods=["POST"]),
        Route("/api/functions", _delete, methods=["DELETE"]),
        Route("/api/functions/{name}", _find, methods=["GET"]),
        Route("/api/functions/{name}", _update, methods=["PUT"]),
        Route("/api/functions/{name}", _patch, methods=["PATCH"]),
        Route("/api/functions/{name}/rollback", _roll_back, methods=["POST"]),
        Route("/api/functions/{name}/replicas", _list_replicas, methods=["GET"]),
        Route("/api/functions/{name}/logs/{replica}", _tell_logs, methods=["GET"]),
    ]


async def _list(request: Request) -> Response:
    listing = await _look(request)
    name = request.headers.get("x-nuclio-function-name", "")
    project = request.headers.get("x-nuclio-project-name", "")

    def is_wanted(record: FunctionRecord) -> bool:
        return name in ("", record.name) and project in ("", record.project)

    if is_true(request.query_params.get("export")):
        chosen = [one for one in listing.records if is_wanted(one)]
        return JSONResponse(await run_in_threadpool(_export_all, services_of(request), chosen))
    return Response(listing.choose(is_wanted) if name or project else listing.whole, media_type=_JSON)


async def _find(request: Request) -> Response:
    listing, name = await _look(request), request.path_params["name"]
    record = next((one for one in listing.records if one.name == name), None)
    if record is None:
        raise _missing(name)
    if is_true(request.query_params.get("export")):
        services = services_of(request)
        settings = (await run_in_threadpool(services.stack)).settings
        return JSONResponse(await run_in_threadpool(export_object, services.workspace, record, settings))
    told = await add_troubles(services_of(request), record)
    return JSONResponse(describe_object(told, listing.host), headers={VERSION: record.version})


async def _create(request: Request) -> Response:
    services, wanted = services_of(request), await _read_wanted(request)
    async with services.jobs.turn:
        if await find_record(services, wanted.name):
            raise HTTPException(409, f"Cannot create two functions with the same name: {wanted.name}")
        notes = await keep_wanted(services, wanted, before=None)
        job = await _deploy(request, wanted, notes=notes)
    return await _accept(request, job)


async def _update(request: Request) -> Response:
    services, wanted = services_of(request), await _read_wanted(request)
    async with services.jobs.turn:
        notes = await keep_wanted(services, wanted, before=await find_record(services, wanted.name))
        job = await _deploy(request, wanted, notes=notes)
    return await _accept(request, job)


async def _patch(request: Request) -> Response:
    services, name = services_of(request), request.path_params["name"]
    desired = (await read_object(request)).get("desiredState")
    if desired is None:
        return Response(status_code=204)
    if desired not in ("ready", "scaledToZero"):
        raise HTTPException(400, f"The desired state should be ready or scaledToZero, not {desired!r}.")
    async with services.jobs.turn:
        record = await find_record(services, name)
        if record is None:
            raise _missing(name)
        if is_true(request.headers.get("x-nuclio-imported-function-only")) and describe_state(record) != IMPORTED:
            return Response(status_code=_ACCEPTED, media_type=_JSON)
        check_free(record)
        job = await _bring_to(request, record, desired=desired)
    if why := await job.wait():
        raise HTTPException(412, why)
    return Response(status_code=_ACCEPTED, media_type=_JSON)


async def _roll_back(request: Request) -> Response:
    services, name = services_of(request), request.path_params["name"]
    wanted = await read_model(request, RollbackBody)
    async with services.jobs.turn:
        record = await find_record(services, name)
        if record is None:
            raise _missing(name)
        check_free(record)
        job = await services.jobs.roll_back(name, wanted.revision, author=_author(request))
    # What cannot be done fails soon, with a reason that stands nowhere else; what takes longer is seen by the state.
    with suppress(TimeoutError):
        if why := await asyncio.wait_for(job.wait(), _SOON):
            raise HTTPException(412, why)
    return Response(status_code=_ACCEPTED, media_type=_JSON)


async def _delete(request: Request) -> Response:
    services, document = services_of(request), await read_object(request)
    name = read_name(document)
    ignores_state = is_true(request.headers.get("x-nuclio-delete-function-ignore-state-validation"))
    record = await find_record(services, name)
    if record is None:
        return Response(status_code=204)
    check_version(record, request.headers.get(VERSION, ""))
    if record.state == BUILDING and ignores_state:
        await services.jobs.cancel(name)
    elif not ignores_state:
        check_free(record)
    job = await services.jobs.remove(name, author=_author(request))
    if why := await job.wait():
        raise StackError(why)
    return Response(status_code=204)


async def _read_wanted(request: Request) -> FunctionRequest:
    project, version = request.headers.get("x-nuclio-project-name", ""), request.headers.get(VERSION, "")
    to_broker = is_true(request.headers.get(OWN_BROKER))
    return read_wanted(await read_object(request), project, version=version, to_broker=to_broker)


async def _deploy(request: Request, wanted: FunctionRequest, *, notes: Sequence[str]) -> Job | None:
    """Have a function deployed, unless it is only to be kept; from here on it is seen as building."""
    if wanted.is_import:
        return None
    return await services_of(request).jobs.deploy(wanted.name, message=_REASON, notes=notes, author=_author(request))


async def _bring_to(request: Request, record: FunctionRecord, *, desired: str) -> Job:
    jobs = services_of(request).jobs
    if desired == "scaledToZero":
        return await jobs.scale(record.name, 0, author=_author(request))
    if record.is_deployed and not record.replicas and not record.config.spec.disable:
        return await jobs.scale(record.name, max(1, record.config.spec.bounds.fewest), author=_author(request))
    return await jobs.deploy(record.name, message=_REASON, author=_author(request))


async def _accept(request: Request, job: Job | None) -> Response:
    """Answer that a deploy goes on, or that it has ended, in whatever way, if the client waits for that."""
    if job and is_true(request.headers.get("x-nuclio-wait-function-action")):
        await job.wait()
    return Response(status_code=_ACCEPTED, media_type=_JSON)


async def _look(request: Request) -> Listing:
    """Return what there is, encoded again only if it is something else than the last time."""
    state, catalogue = request.app.state, services_of(request).catalogue
    known: tuple[str, Listing] | None = getattr(state, "listing", None)
    called = request.url.hostname or ""
    if known and known[0] == called and known[1].records is catalogue.peek():
        return known[1]
    stack = await run_in_threadpool(services_of(request).stack)
    records = await services_of(request).records()
    listing = Listing(records, find_addresses(request, stack.settings)[0])
    state.listing = (called, listing)
    return listing


def _export_all(services: Services, records: list[FunctionRecord]) -> dict[str, object]:
    settings = services.stack().settings
    return {one.name: export_object(services.workspace, one, settings) for one in records if not one.problem}


def _author(request: Request) -> str:
    return user_of(request) or _AUTHOR


def _missing(name: str) -> HTTPException:
    return HTTPException(404, f"Function not found: {name}")


async def _list_replicas(request: Request) -> Response:
    return JSONResponse({"names": [one.name for one in await _find_containers(request)]})


async def _tell_logs(request: Request) -> Response:
    """Send a container's log as it is, and go on as it grows unless the client says otherwise."""
    query, replica = _read_query(request), request.path_params["replica"]
    container = next((one for one in await _find_containers(request) if one.name == replica), None)
    if container is None:
        raise HTTPException(400, f"Function {request.path_params['name']} has no replica {replica}")
    settings = (await run_in_threadpool(services_of(request).stack)).settings
    return StreamingResponse(_follow_log(settings.project, container, query=query), media_type="text/plain")


async def _find_containers(request: Request) -> list[Container]:
    name = request.path_params["name"]
    if await find_record(services_of(request), name) is None:
        raise HTTPException(404, f"Function not found: {name}")
    engine = (await run_in_threadpool(services_of(request).stack)).engine
    containers = await run_in_threadpool(engine.containers)
    return [one for one in containers if one.function == name]


async def _follow_log(project: str, container: Container, *, query: str) -> AsyncIterator[str]:
    async with Docker() as docker:
        try:
            # Finds out which of its versions Docker speaks.
            await docker.version()
            async for text in AsyncEngine(docker, project).texts(container, query):
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
