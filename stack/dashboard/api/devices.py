"""/api/devices: devices with a login of their own, which Nuclio's API has none of."""

import io
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.device import DeviceConfig
from stack.config.document import Document, parse_model
from stack.dashboard.api.request import read_body, read_object
from stack.dashboard.security.auth import name_caller
from stack.dashboard.services import Services, services_of
from stack.run.devices.presence import fetch_presence, fetch_some_presence
from stack.run.devices.registry import (
    Identity,
    NewDevice,
    add_device,
    choose_devices,
    delete_device,
    get_device,
    revoke_device,
    rotate_device,
)
from stack.run.devices.show import describe_device, describe_identity
from stack.run.devices.table import Table, add_table, decode_table, export_devices
from stack.run.devices.twin import change_twin, fetch_history, fetch_twin
from stack.state.devices import list_logins

_MOST, _USUAL = 1000, 100
_CSV = "text/csv"


class DeviceBody(Document):
    """A device that is to be added."""

    name: str
    """Its user and client id."""
    type: str = ""
    """The name of a file of device-types/, without .yaml."""
    topics: tuple[str, ...] = ()
    """Topic filters on which it may publish, and to which it may subscribe."""
    publish: tuple[str, ...] = ()
    """Topic filters on which it may publish."""
    subscribe: tuple[str, ...] = ()
    """Topic filters to which it may subscribe."""
    labels: dict[str, str] = Field(default={})
    """What tells it from others."""
    description: str = ""
    """What it is, or where."""
    rate: str = ""
    """How much it may send, such as 2 kB/s."""
    certificate: bool = False
    """Give it a key and a certificate in place of a password; the answer has both, this once."""


class TwinBody(Document):
    """A change of a twin."""

    patch: dict[str, Any]
    """A JSON merge patch (RFC 7396): null takes a member away."""
    part: Literal["desired", "reported"] = "desired"
    """Which of the two documents."""
    version: int | None = None
    """The version that it has to have; with another it is not changed."""


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/devices", _list, methods=["GET"]),
        Route("/api/devices", _add, methods=["POST"]),
        Route("/api/devices.csv", _export, methods=["GET"]),
        Route("/api/devices.csv", _import, methods=["POST"]),
        Route("/api/devices/{name}", _find, methods=["GET"]),
        Route("/api/devices/{name}", _delete, methods=["DELETE"]),
        Route("/api/devices/{name}/password", _rotate, methods=["POST"]),
        Route("/api/devices/{name}/password", _revoke, methods=["DELETE"]),
        Route("/api/devices/{name}/presence", _find_presence, methods=["GET"]),
        Route("/api/devices/{name}/twin", _find_twin, methods=["GET"]),
        Route("/api/devices/{name}/twin", _change_twin, methods=["PATCH"]),
        Route("/api/devices/{name}/twin/history", _list_twin_changes, methods=["GET"]),
    ]


async def _list(request: Request) -> Response:
    words, limit, offset = (request.query_params.get(key, "") for key in ("contains", "limit", "offset"))
    labels = dict(_read_label(one) for one in request.query_params.getlist("label"))
    most, first = read_count(limit, _USUAL, name="limit"), read_count(offset, 0, name="offset")
    found, let_in = await run_in_threadpool(_choose, services_of(request), words, labels)
    part = found[first : first + min(most, _MOST)]
    presence = await run_in_threadpool(_fetch_presence, services_of(request), [one.name for one in part if let_in])
    listed = [describe_device(one, is_let_in=one.name in let_in, presence=presence) for one in part]
    return JSONResponse({"devices": listed, "total": len(found)})


def _choose(services: Services, words: str, labels: dict[str, str]) -> tuple[list[DeviceConfig], set[str]]:
    devices = services.registry.read().devices.values()
    return choose_devices(devices, words, labels=labels), list_logins(services.workspace)


def _read_label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise HTTPException(400, f"label should be NAME=VALUE, not {text!r}.")
    return name, value


def read_count(text: str, usual: int, *, name: str) -> int:
    """Return a whole number of the query.

    Raises:
        HTTPException: it is none.
    """
    if text and not (text.isascii() and text.isdigit()):
        raise HTTPException(400, f"{name} should be a whole number, not {text!r}.")
    return int(text) if text else usual


def _fetch_presence(services: Services, names: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    return fetch_some_presence(services.stack(), names)


async def _find(request: Request) -> Response:
    services, name = services_of(request), request.path_params["name"]
    device = get_device(await run_in_threadpool(services.registry.read), name)
    let_in = await run_in_threadpool(list_logins, services.workspace)
    presence = await run_in_threadpool(_fetch_presence, services, [name] if let_in else [])
    return JSONResponse(describe_device(device, is_let_in=name in let_in, presence=presence))


async def _add(request: Request) -> Response:
    # A key that is passed over could be one that says what it may not do.
    body = parse_model(DeviceBody, await read_object(request), name="body")
    stack = services_of(request).stack()
    more = {key: getattr(body, key) for key in ("publish", "subscribe", "description", "rate")}
    labels, is_certified = body.labels, body.certificate
    new = NewDevice(body.name, body.type, body.topics, labels, has_certificate=is_certified, more=more)
    return await _show_once(request, await run_in_threadpool(add_device, stack, new))


async def _export(request: Request) -> Response:
    target = io.StringIO()
    await run_in_threadpool(export_devices, services_of(request).workspace, target)
    return Response(target.getvalue(), media_type=_CSV)


async def _import(request: Request) -> Response:
    table, passwords = Table("body", decode_table("body", await read_body(request))), io.StringIO()
    await run_in_threadpool(add_table, services_of(request).stack(), table, passwords)
    return Response(passwords.getvalue(), 201, media_type=_CSV)


async def _rotate(request: Request) -> Response:
    stack = services_of(request).stack()
    return await _show_once(request, await run_in_threadpool(rotate_device, stack, request.path_params["name"]))


async def _show_once(request: Request, identity: Identity) -> Response:
    stack = services_of(request).stack()
    seen_as = request.url.hostname or ""
    return JSONResponse(await run_in_threadpool(describe_identity, stack, identity, seen_as), 201)


async def _revoke(request: Request) -> Response:
    await run_in_threadpool(revoke_device, services_of(request).stack(), request.path_params["name"])
    return Response(status_code=204)


async def _delete(request: Request) -> Response:
    await run_in_threadpool(delete_device, services_of(request).stack(), request.path_params["name"])
    return Response(status_code=204)


async def _find_presence(request: Request) -> Response:
    services, name = services_of(request), request.path_params["name"]
    get_device(await run_in_threadpool(services.registry.read), name)
    return JSONResponse(await run_in_threadpool(fetch_presence, services.stack(), name))


async def _find_twin(request: Request) -> Response:
    stack = services_of(request).stack()
    return JSONResponse(await run_in_threadpool(fetch_twin, stack, request.path_params["name"]))


async def _change_twin(request: Request) -> Response:
    body = parse_model(TwinBody, await read_object(request), name="body")
    stack = services_of(request).stack()
    change = partial(change_twin, stack, request.path_params["name"], body.part, body.patch, body.version)
    return JSONResponse(await run_in_threadpool(change, by=name_caller(request, "API")))


async def _list_twin_changes(request: Request) -> Response:
    stack = services_of(request).stack()
    return JSONResponse({"changes": await run_in_threadpool(fetch_history, stack, request.path_params["name"])})
