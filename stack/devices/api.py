"""The HTTP API of the service, for the stack's own programs: no function is on its network, and it has no login."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stack.devices.client import MOST_NAMES
from stack.devices.link import Link, Publication
from stack.devices.presence import Presence
from stack.devices.store import Store
from stack.devices.twin import KEPT, Change, Part, Twins
from stack.errors import BrokerError, ConfigError, ConflictError, DeviceError, StackError

_STATUSES: dict[type[Exception], int] = {
    DeviceError: 404,
    ConflictError: 409,
    ConfigError: 422,
    BrokerError: 503,
    StackError: 400,
}
# Returns what is to be said of a device that is forgotten, if anything.
Forget = Callable[[str], Iterable[Publication] | None]
Say = Callable[[Iterable[Publication]], None]


def build_app(routes: Sequence[BaseRoute]) -> Starlette:
    """Build the web application of the service."""
    handlers = {kind: partial(_answer_error, status) for kind, status in _STATUSES.items()}
    return Starlette(routes=[*routes, Route("/health", _tell_health)], exception_handlers=handlers)


async def _answer_error(status: int, _: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status)


async def _tell_health(_: Request) -> Response:
    return PlainTextResponse("ok")


def build_forget_routes(store: Store, forgets: Sequence[Forget], *, say: Say) -> list[BaseRoute]:
    """Return the routes by which devices are forgotten that were removed, or are new."""

    def forget(names: Iterable[str]) -> Response:
        with store.transaction():
            for name, one in product(names, forgets):
                say(one(name) or ())
        return Response(status_code=204)

    def forget_one(request: Request) -> Response:
        return forget([request.path_params["name"]])

    async def forget_some(request: Request) -> Response:
        return await run_in_threadpool(forget, await _read_names(request))

    return [
        Route("/devices/{name}", forget_one, methods=["DELETE"]),
        Route("/forget", forget_some, methods=["POST"]),
    ]


async def _read_names(request: Request) -> list[str]:
    return [str(name) for name in (await read_object(request)).get("names", ())][:MOST_NAMES]


def build_presence_routes(presence: Presence) -> list[BaseRoute]:
    """Return the routes of presence."""

    def list_changes(request: Request) -> Response:
        last = read_number(request, "last", 0) if "last" in request.query_params else None
        return JSONResponse(presence.list_changes(read_number(request, "after", 0), last))

    async def list_some(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(presence.list_of, await _read_names(request)))

    def describe(request: Request) -> Response:
        return JSONResponse(presence.describe(request.path_params["name"]))

    def write_metrics(_: Request) -> Response:
        return PlainTextResponse(presence.write_metrics(), media_type="text/plain; version=0.0.4")

    return [
        Route("/presence", list_changes, methods=["GET"]),
        Route("/presence", list_some, methods=["POST"]),
        Route("/devices/{name}/presence", describe),
        Route("/metrics", write_metrics),
    ]


def build_twin_routes(twins: Twins, link: Link) -> list[BaseRoute]:
    """Return the routes of twins."""

    def describe(request: Request) -> Response:
        return JSONResponse(twins.get(request.path_params["name"]).as_document())

    def list_changes(request: Request) -> Response:
        limit = read_number(request, "limit", KEPT)
        return JSONResponse({"changes": twins.list_changes(request.path_params["name"], limit)})

    async def change(request: Request) -> Response:
        wanted, name = read_change(await read_object(request)), request.path_params["name"]
        document = await run_in_threadpool(change_twin, twins, link, name, wanted)
        return JSONResponse(document)

    path = "/devices/{name}/twin"
    return [
        Route(path, describe, methods=["GET"]),
        Route(path, change, methods=["PATCH"]),
        Route(f"{path}/history", list_changes),
    ]


def change_twin(twins: Twins, link: Link, device: str, change: Change) -> dict[str, Any]:
    """Change a twin, tell the device, and return the twin; where the broker is away, the device is told afterwards."""
    return twins.change_and_tell(device, change, tell=link.say).as_document()


def read_change(body: dict[str, Any]) -> Change:
    """Return what a body says of a change.

    Raises:
        ConfigError: it says something else.
    """
    part, version, by = body.get("part", Part.DESIRED), body.get("version"), body.get("by", "")
    if part not in tuple(Part):
        raise ConfigError([f"part should be desired or reported, not {part!r}."])
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise ConfigError([f"version should be a whole number, not {version!r}."])
    if not str(by).isprintable():
        raise ConfigError([f"by should be readable text, not {ascii(by)[:100]}."])
    return Change(Part(part), body.get("patch"), version, str(by))


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request has as its body.

    Raises:
        ConfigError: it has none.
    """
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"The body should be JSON: {error}."]) from error
    if not isinstance(body, dict):
        raise ConfigError(["The body should be a JSON object."])
    return body


def read_number(request: Request, name: str, usual: int) -> int:
    """Return a whole number of the query.

    Raises:
        ConfigError: it is none.
    """
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit()):
        raise ConfigError([f"{name} should be a whole number, not {text!r}."])
    return int(text)
