"""/api/functions: what there is, how it is, and changes of it."""

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.api.function_object import (
    IMPORTED,
    VERSION,
    Listing,
    Wish,
    check_free,
    check_version,
    describe_object,
    export_object,
    find_record,
    keep_wish,
    read_name,
    read_wish,
    tell_state,
)
from stack.dashboard.api.platform import find_addresses
from stack.dashboard.api.request import is_true, read_object
from stack.dashboard.security.auth import user_of
from stack.dashboard.services import Desk, add_troubles, desk_of
from stack.errors import StackError
from stack.run.catalogue import FunctionRecord
from stack.run.function_status import BUILDING
from stack.run.job import Job

_JSON = "application/json"
_ACCEPTED = 202
# Who deploys where nobody has to log in, and why.
_NOBODY, _REASON = "dashboard", "through the API"


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/functions", _list, methods=["GET"]),
        Route("/api/functions", _create, methods=["POST"]),
        Route("/api/functions", _delete, methods=["DELETE"]),
        Route("/api/functions/{name}", _find, methods=["GET"]),
        Route("/api/functions/{name}", _update, methods=["PUT"]),
        Route("/api/functions/{name}", _patch, methods=["PATCH"]),
    ]


async def _list(request: Request) -> Response:
    listing = await _look(request)
    name = request.headers.get("x-nuclio-function-name", "")
    project = request.headers.get("x-nuclio-project-name", "")

    def is_wanted(record: FunctionRecord) -> bool:
        return name in ("", record.name) and project in ("", record.project)

    if is_true(request.query_params.get("export")):
        chosen = [one for one in listing.records if is_wanted(one)]
        return JSONResponse(await run_in_threadpool(_export_all, desk_of(request), chosen))
    return Response(listing.choose(is_wanted) if name or project else listing.whole, media_type=_JSON)


async def _find(request: Request) -> Response:
    listing, name = await _look(request), request.path_params["name"]
    record = next((one for one in listing.records if one.name == name), None)
    if record is None:
        raise _missing(name)
    if is_true(request.query_params.get("export")):
        desk = desk_of(request)
        settings = (await run_in_threadpool(desk.stack)).settings
        return JSONResponse(await run_in_threadpool(export_object, desk.workspace, record, settings))
    told = await add_troubles(desk_of(request), record)
    return JSONResponse(describe_object(told, listing.host), headers={VERSION: record.version})


async def _create(request: Request) -> Response:
    desk, wish = desk_of(request), await _read_wish(request)
    async with desk.jobs.turn:
        if await find_record(desk, wish.name):
            raise HTTPException(409, f"Cannot create two functions with the same name: {wish.name}")
        await keep_wish(desk, wish, None)
        job = await _deploy(request, wish)
    return await _accept(request, job)


async def _update(request: Request) -> Response:
    desk, wish = desk_of(request), await _read_wish(request)
    async with desk.jobs.turn:
        await keep_wish(desk, wish, await find_record(desk, wish.name))
        job = await _deploy(request, wish)
    return await _accept(request, job)


async def _patch(request: Request) -> Response:
    desk, name = desk_of(request), request.path_params["name"]
    desired = (await read_object(request)).get("desiredState")
    if desired is None:
        return Response(status_code=204)
    if desired not in ("ready", "scaledToZero"):
        raise HTTPException(400, f"The desired state should be ready or scaledToZero, not {desired!r}.")
    async with desk.jobs.turn:
        record = await find_record(desk, name)
        if record is None:
            raise _missing(name)
        if is_true(request.headers.get("x-nuclio-imported-function-only")) and tell_state(record) != IMPORTED:
            return Response(status_code=_ACCEPTED, media_type=_JSON)
        check_free(record)
        job = await _bring_to(request, record, desired)
    if why := await job.wait():
        raise HTTPException(412, why)
    return Response(status_code=_ACCEPTED, media_type=_JSON)


async def _delete(request: Request) -> Response:
    desk, document = desk_of(request), await read_object(request)
    name = read_name(document)
    ignores_state = is_true(request.headers.get("x-nuclio-delete-function-ignore-state-validation"))
    record = await find_record(desk, name)
    if record is None:
        return Response(status_code=204)
    check_version(record, request.headers.get(VERSION, ""))
    if record.state == BUILDING and ignores_state:
        await desk.jobs.cancel(name)
    elif not ignores_state:
        check_free(record)
    job = await desk.jobs.remove(name, author=_author(request))
    if why := await job.wait():
        raise StackError(why)
    return Response(status_code=204)


async def _read_wish(request: Request) -> Wish:
    project, version = request.headers.get("x-nuclio-project-name", ""), request.headers.get(VERSION, "")
    return read_wish(await read_object(request), project, version)


async def _deploy(request: Request, wish: Wish) -> Job | None:
    """Have a function deployed, unless it is only to be kept; from here on it is seen as building."""
    if wish.is_import:
        return None
    return await desk_of(request).jobs.deploy(wish.name, message=_REASON, author=_author(request))


async def _bring_to(request: Request, record: FunctionRecord, desired: str) -> Job:
    jobs = desk_of(request).jobs
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
    """Return what there is, encoded anew only if it is something else than the last time."""
    state, catalogue = request.app.state, desk_of(request).catalogue
    known: tuple[str, Listing] | None = getattr(state, "listing", None)
    called = request.url.hostname or ""
    if known and known[0] == called and known[1].records is catalogue.peek():
        return known[1]
    stack = await run_in_threadpool(desk_of(request).stack)
    records = await desk_of(request).records()
    listing = Listing(records, find_addresses(request, stack.settings)[0])
    state.listing = (called, listing)
    return listing


def _export_all(desk: Desk, records: list[FunctionRecord]) -> dict[str, object]:
    settings = desk.stack().settings
    return {one.name: export_object(desk.workspace, one, settings) for one in records if not one.problem}


def _author(request: Request) -> str:
    return user_of(request) or _NOBODY


def _missing(name: str) -> HTTPException:
    return HTTPException(404, f"Function not found: {name}")
