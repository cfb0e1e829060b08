"""The page of one device: whether it is there, and its twin."""

import json
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.pages.function import add_toast, read_form
from stack.dashboard.security.auth import name_caller
from stack.dashboard.services import Services, services_of
from stack.errors import ConfigError, StackError
from stack.run.devices.presence import fetch_some_presence
from stack.run.devices.registry import get_device
from stack.run.devices.show import describe_device
from stack.run.devices.twin import DESIRED, change_twin, fetch_history
from stack.state.devices import list_logins


class PatchForm(Document):
    """A change of what is desired of a device."""

    patch: str
    """A JSON merge patch."""


def _describe_presence(_: Services, _subject: str, known: Known) -> dict[str, Any]:
    return {"presence": known["presence"]}


def _describe_twin(_: Services, _subject: str, known: Known) -> dict[str, Any]:
    return {"twin": known["twin:"], "write": _write}


PRESENCE = Fragment("device-presence", "_device_presence.html", ("presence",), _describe_presence)
TWIN = Fragment("device-twin:", "_device_twin.html", ("twin:",), _describe_twin)


def routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    path = "/devices/logins/{name}"
    return [
        Route(path, show_device),
        Route(f"{path}/twin", change, methods=["POST"]),
        Route(f"{path}/twin/history", show_history),
    ]


async def show_device(request: Request) -> Response:
    """Show the page."""
    name = request.path_params["name"]
    device = await run_in_threadpool(_describe, services_of(request), name)
    return render(request, "device.html", device=device, **await look(request, f"{TWIN.name}{name}"))


def _describe(services: Services, name: str) -> dict[str, Any]:
    device, let_in = get_device(services.registry.read(), name), list_logins(services.workspace)
    presence = fetch_some_presence(services.stack(), [name] if let_in else [])
    return describe_device(device, is_let_in=name in let_in, presence=presence)


async def change(request: Request) -> Response:
    """Change what is desired of a device."""
    name, stack = request.path_params["name"], services_of(request).stack()
    try:
        patch = read_patch((await read_form(request, PatchForm)).patch)
        await run_in_threadpool(partial(change_twin, stack, name, DESIRED, patch, by=name_caller(request, "page")))
    except StackError as error:
        return render(request, "_wrong.html", status=422, message=str(error))
    services_of(request).broadcaster.touch(f"twin:{name}")
    answer = add_toast(Response(), f"{name} is told what is desired.", level="ok")
    answer.headers["HX-Trigger-After-Settle"] = "twin-changed"
    return answer


async def show_history(request: Request) -> Response:
    """Show the last changes of a twin."""
    found = await run_in_threadpool(fetch_history, services_of(request).stack(), request.path_params["name"])
    return render(request, "_device_twin_history.html", changes=found, write=_write)


def _write(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def read_patch(text: str) -> object:
    """Return the patch that somebody typed.

    Raises:
        ConfigError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f'The change should be JSON, such as {{"fan": "on"}}: {error}.']) from error
