"""/api/devices/NAME/calls: what devices are asked to do, and what became of that."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.contract import MOST_CALL_WAIT
from stack.dashboard.api.devices import read_count
from stack.dashboard.api.request import read_object
from stack.dashboard.security.auth import name_caller
from stack.dashboard.services import services_of
from stack.plan.device_call import MOST_LISTED, USUALLY_LISTED
from stack.run.devices.calls import find_call, list_calls, make_call

Result = TypeVar("Result")

_PATH = "/api/devices/{name}/calls"
# Calls that are waited for at a time, in threads that no other request needs.
_waiting = CapacityLimiter(32)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route(_PATH, _list, methods=["GET"]),
        Route(_PATH, _make, methods=["POST"]),
        Route(f"{_PATH}/{{id}}", _find, methods=["GET"]),
    ]


async def run_waiting(task: Callable[[], Result]) -> Result:
    """Run in a thread what may wait for a device.

    Raises:
        HTTPException: 503, too many wait already.
    """
    if not _waiting.available_tokens:
        raise HTTPException(503, "Too many calls are waited for. Try it later, or with a shorter wait.")
    return await to_thread.run_sync(task, limiter=_waiting)


async def make_call_by(request: Request, said: dict[str, Any], *, face: str) -> dict[str, Any]:
    """Make a call of the device in the address, for who is logged in at this face of the dashboard."""
    stack, by = services_of(request).stack(), name_caller(request, face)
    return await run_waiting(partial(make_call, stack, request.path_params["name"], said, by=by))


async def _list(request: Request) -> Response:
    limit = min(read_count(request.query_params.get("limit", ""), USUALLY_LISTED, name="limit"), MOST_LISTED)
    stack, name = services_of(request).stack(), request.path_params["name"]
    return JSONResponse({"calls": await run_in_threadpool(list_calls, stack, name, limit)})


async def _make(request: Request) -> Response:
    said = await read_object(request)
    return JSONResponse(await make_call_by(request, said, face="API"), 201)


async def _find(request: Request) -> Response:
    stack, wait = services_of(request).stack(), read_count(request.query_params.get("wait", ""), 0, name="wait")
    name, id = (request.path_params[key] for key in ("name", "id"))
    find = partial(find_call, stack, name, id, wait=min(wait, MOST_CALL_WAIT))
    return JSONResponse(await (run_waiting(find) if wait else run_in_threadpool(find)))
