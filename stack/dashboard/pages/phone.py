"""A phone as a device: its link on the devices' page, and the page to which that leads.

Who has the link needs no login: it holds for some minutes, and once.
"""

import secrets
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.page import render
from stack.dashboard.pages.device_logins import find_guest_question, put_in_dialog, tell_change
from stack.dashboard.services import services_of
from stack.errors import ConflictError
from stack.run.devices.connection import find_endpoint, find_origin
from stack.run.devices.phone import PATH, choose_phone_topics, claim_phone, find_phone, make_phone_link
from stack.run.devices.registry import NewDevice, add_device
from stack.state.device_link import LINK_MINUTES


def routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [
        Route("/devices/logins/phone", add_phone, methods=["POST"]),
        Route("/devices/logins/{name}/link", link, methods=["POST"]),
        Route(PATH, show),
        Route(f"{PATH}/authority.pem", show_authority),
        Route(f"{PATH}/{{token}}", show),
        Route(f"{PATH}/{{token}}", claim, methods=["POST"]),
    ]


async def add_phone(request: Request) -> Response:
    """Add a device for a phone, and show its link; ask before the first ends the account that everybody knows."""
    stack, name = services_of(request).stack(), f"phone-{secrets.token_hex(2)}"
    find_origin(stack)
    if question := await find_guest_question(request, "add a phone", action="/phone"):
        return question
    await run_in_threadpool(add_device, stack, NewDevice(name))
    return tell_change(await _show_link(request, name))


async def link(request: Request) -> Response:
    """Show a link by which a phone becomes a device; ask first if that is the first device, with which guest ends."""
    name = request.path_params["name"]
    # What cannot be had is not asked about.
    shown = await _show_link(request, name)
    return await find_guest_question(request, "use a phone", action=f"/{quote(name)}/link") or shown


async def _show_link(request: Request, name: str) -> Response:
    seen_as = request.url.hostname or ""
    made = await run_in_threadpool(make_phone_link, services_of(request).stack(), name, seen_as)
    return put_in_dialog(render(request, "_device_link.html", link=made, minutes=LINK_MINUTES))


async def show(request: Request) -> Response:
    """Show the page; a phone that is a device already needs no link, since it has kept its login."""
    name, problem = "", ""
    if token := request.path_params.get("token", ""):
        try:
            name = await run_in_threadpool(find_phone, services_of(request).stack(), token)
        except ConflictError as error:
            problem = str(error)
    return render(request, "phone.html", name=name, problem=problem)


async def show_authority(request: Request) -> Response:
    """Send the certificate of the authority that the phone may be told to trust; it is no secret."""
    endpoint = await run_in_threadpool(find_endpoint, services_of(request).stack())
    if not endpoint.authority:
        raise HTTPException(404, "There is no authority of the stack's own.")
    return Response(endpoint.authority, media_type="application/x-x509-ca-cert")


async def claim(request: Request) -> Response:
    """Give the phone the login of its device, this once."""
    identity = await run_in_threadpool(claim_phone, services_of(request).stack(), request.path_params["token"])
    device = identity.device
    return JSONResponse({"user": device.name, "password": identity.password, "topics": choose_phone_topics(device)})
