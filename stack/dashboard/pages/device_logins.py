"""Devices with a login of their own, on the devices' page: found, added, given a password, locked out, removed."""

import base64
import io
import shlex
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.device import DeviceConfig
from stack.config.document import Document
from stack.dashboard.page import render
from stack.dashboard.pages.data import chart_address
from stack.dashboard.pages.function import MOST_FORM_BYTES, add_toast, load_form, read_form
from stack.dashboard.services import Services, services_of
from stack.docker.stack import Stack
from stack.errors import ConfigError, StackError
from stack.plan.device_program import PROGRAMS, UNKNOWN, write_program
from stack.rabbitmq.account_use import list_guests
from stack.run.devices.connection import find_endpoint
from stack.run.devices.presence import fetch_some_presence
from stack.run.devices.registry import (
    Identity,
    NewDevice,
    add_device,
    choose_devices,
    delete_device,
    get_device,
    read_name,
    revoke_device,
    rotate_device,
)
from stack.run.devices.show import describe_device, describe_identity
from stack.run.devices.table import Table, add_table, decode_table
from stack.state.devices import list_logins
from stack.victoriametrics.client import write_selector

# Devices that the table shows at once; the field above it finds the others.
_SHOWN = 100
_CHANGED = "devices-changed"
# The label of readings that names the device.
_DEVICE = "device"


class LoginForm(Document):
    """A device that is to be added, as a form says it."""

    name: str
    """Its user and client id."""
    type: str = ""
    """The name of a file of device-types/."""
    topics: str = ""
    """Topic filters with blanks between them."""
    labels: str = ""
    """NAME=VALUE, with blanks between them."""
    ends_guest: bool = False
    """Whether the account guest is to end with it, where it is still there."""


def routes() -> list[BaseRoute]:
    """Return the routes of this part of the page."""
    return [
        Route("/devices/logins", list_devices),
        Route("/devices/logins", add, methods=["POST"]),
        Route("/devices/logins/{name}/connect", connect),
        Route("/devices/logins/table", add_all, methods=["POST"]),
        Route("/devices/logins/{name}/rotate", rotate, methods=["POST"]),
        Route("/devices/logins/{name}/revoke", revoke, methods=["POST"]),
        Route("/devices/logins/{name}/remove", remove, methods=["POST"]),
    ]


async def list_devices(request: Request) -> Response:
    """Show the first devices that have a text in their name, type or labels."""
    words = request.query_params.get("contains", "")
    return render(request, "_device_logins.html", **await run_in_threadpool(_choose, services_of(request), words))


def _choose(services: Services, words: str) -> dict[str, Any]:
    registry, let_in = services.registry.read(), list_logins(services.workspace)
    found = choose_devices(registry.devices.values(), words, labels={})
    part = found[:_SHOWN]
    presence = fetch_some_presence(services.stack(), [one.name for one in part if let_in])
    kept = {rule.metric for rule in services.data().keep if _DEVICE in rule.labels}
    shown = [
        {**describe_device(one, is_let_in=one.name in let_in, presence=presence), "charts": _list_charts(one, kept)}
        for one in part
    ]
    return {"logins": shown, "found": len(found), "all": len(registry.devices), "problems": registry.problems}


def _list_charts(device: DeviceConfig, kept: Collection[str]) -> list[dict[str, str]]:
    """Return what a device measures, each with its unit, and where its chart is if it is kept."""
    return [
        {
            "name": name,
            "unit": one.unit,
            "address": chart_address([write_selector(name, {_DEVICE: device.name})]) if name in kept else "",
        }
        for name, one in device.metrics.items()
    ]


async def add(request: Request) -> Response:
    """Add a device, and show its password this once; ask before the first ends the account that everybody knows."""
    stack = services_of(request).stack()
    try:
        form = await read_form(request, LoginForm)
        new = _read_new(form)
        if stack.credentials.is_guest and not form.ends_guest:
            return await ask_about_guest(request, f"add {new.name}", fields=form.model_dump(exclude={"ends_guest"}))
        identity = await run_in_threadpool(add_device, stack, new)
    except StackError as error:
        return render(request, "_wrong.html", status=422, message=str(error))
    return await _show(request, identity)


def _read_new(form: LoginForm) -> NewDevice:
    try:
        pairs = [one.partition("=") for one in shlex.split(form.labels)]
    except ValueError as error:
        raise ConfigError([f"Labels: a quotation mark has no other: {form.labels}"]) from error
    if wrong := [name for name, sign, _ in pairs if not sign]:
        example = "site=hall-2 or site='hall 2'"
        raise ConfigError([f"Labels should be such as {example}, with blanks between them, not {wrong[0]!r}."])
    labels = {name: value for name, _, value in pairs}
    return NewDevice(read_name(form.name.strip()), form.type, form.topics.split(), labels)


async def add_all(request: Request) -> Response:
    """Add all devices of a table, or none, and give their passwords as another, this once."""
    stack, passwords = services_of(request).stack(), io.StringIO()
    form = await load_form(request, MOST_FORM_BYTES)
    try:
        table = await _read_table(form)
        if stack.credentials.is_guest and not form.get("ends_guest"):
            return await ask_about_guest(request, f"add all of {table.name}", action="/table", includes="#logins-table")
        count = await run_in_threadpool(add_table, stack, table, passwords)
    except StackError as error:
        return render(request, "_wrong.html", status=422, message=str(error))
    finally:
        await form.close()
    encoded = base64.b64encode(passwords.getvalue().encode()).decode()
    return tell_change(put_in_dialog(render(request, "_device_passwords.html", count=count, encoded=encoded)))


async def _read_table(form: FormData) -> Table:
    file = form.get("table")
    if not isinstance(file, UploadFile) or not file.filename:
        raise ConfigError(["Choose a table of CSV first."])
    return Table(file.filename, decode_table(file.filename, await file.read()))


async def find_guest_question(request: Request, what: str, *, action: str) -> Response | None:
    """Return the question whether the account that everybody knows may end, if it is there and that was not said."""
    async with request.form() as form:
        if not services_of(request).stack().credentials.is_guest or form.get("ends_guest"):
            return None
    return await ask_about_guest(request, what, action=action)


async def ask_about_guest(
    request: Request, what: str, *, action: str = "", includes: str = "", fields: Mapping[str, str] | None = None
) -> Response:
    """Ask whether the account that everybody knows may end, by a form that sends the same once more."""
    guests = await run_in_threadpool(list_guests, services_of(request).stack())
    told: dict[str, Any] = {
        "what": what,
        "guests": guests,
        "action": action,
        "includes": includes,
        "fields": fields or {},
    }
    return put_in_dialog(render(request, "_guest_question.html", **told))


async def rotate(request: Request) -> Response:
    """Give a device another password, and show it this once; ask before guest ends, if it is the first that has one."""
    services, name = services_of(request), request.path_params["name"]
    get_device(await run_in_threadpool(services.registry.read), name)
    if question := await find_guest_question(request, f"give {name} a password", action=f"/{quote(name)}/rotate"):
        return question
    return await _show(request, await run_in_threadpool(rotate_device, services.stack(), name))


async def revoke(request: Request) -> Response:
    """Lock a device out."""
    name = request.path_params["name"]
    await run_in_threadpool(revoke_device, services_of(request).stack(), name)
    return tell_change(add_toast(Response(), f"{name} may not log in any more.", level="ok"))


async def remove(request: Request) -> Response:
    """Lock a device out, and remove its file."""
    name = request.path_params["name"]
    await run_in_threadpool(delete_device, services_of(request).stack(), name)
    return tell_change(add_toast(Response(), f"{name} is removed.", level="ok"))


async def connect(request: Request) -> Response:
    """Show how a device connects, but for its password."""
    services = services_of(request)
    device = get_device(await run_in_threadpool(services.registry.read), request.path_params["name"])
    return await _show(request, Identity(device, UNKNOWN))


async def _show(request: Request, identity: Identity) -> Response:
    described = await run_in_threadpool(_describe, services_of(request).stack(), identity, request.url.hostname or "")
    answer = put_in_dialog(render(request, "_device_identity.html", **described))
    return answer if identity.password == UNKNOWN else tell_change(answer)


def _describe(stack: Stack, identity: Identity, seen_as: str) -> dict[str, Any]:
    endpoint = find_endpoint(stack, seen_as)
    programs = {one: write_program(one, endpoint, identity.device, identity.password) for one in PROGRAMS}
    is_new = identity.password != UNKNOWN
    return {"identity": describe_identity(stack, identity, seen_as), "programs": programs, "is_new": is_new}


def put_in_dialog(answer: Response) -> Response:
    """Have an answer shown as a dialog."""
    answer.headers["HX-Retarget"] = "#dialog"
    answer.headers["HX-Reswap"] = "innerHTML"
    return answer


def tell_change(answer: Response) -> Response:
    """Have the table looked at again."""
    answer.headers["HX-Trigger-After-Settle"] = _CHANGED
    return answer
