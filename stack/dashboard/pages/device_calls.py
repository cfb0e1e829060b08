"""A device is called, on the devices' page: a dialog with a form, and the calls that were made of it."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.contract import CALL_WAIT
from stack.dashboard.api.device_calls import make_call_by
from stack.dashboard.page import render
from stack.dashboard.pages.function import read_form
from stack.dashboard.services import services_of
from stack.errors import StackError
from stack.plan.device_call import USUALLY_LISTED, CallState
from stack.run.devices.calls import list_calls, read_data, write_answer

_PATH = "/devices/logins/{name}/calls"


class CallForm(Document):
    """What a device is to do, as a form says it."""

    method: str = ""
    """Its name."""
    data: str = ""
    """JSON that goes with it."""
    wait: float = CALL_WAIT
    """Seconds for which the answer is waited for."""
    expires: str = "1h"
    """How long it is kept for a device that is away."""


def routes() -> list[BaseRoute]:
    """Return the routes of this part of the page."""
    return [
        Route(_PATH, ask),
        Route(_PATH, call, methods=["POST"]),
        Route(f"{_PATH}/list", show_list),
    ]


async def ask(request: Request) -> Response:
    """Show the form, and the last calls."""
    return render(request, "_device_calls.html", wait=CALL_WAIT, **await _find(request))


async def call(request: Request) -> Response:
    """Call the device, and show the calls with this one."""
    found: dict[str, Any] = {}
    try:
        form = await read_form(request, CallForm)
        said = {"method": form.method, "data": read_data(form.data), "wait": form.wait, "expires": form.expires}
        await make_call_by(request, said, face="page")
    except HTTPException as error:
        found["problem"] = error.detail
    except StackError as error:
        found["problem"] = str(error)
    answer = render(request, "_device_call_list.html", **{**await _find(request), **found})
    answer.headers["HX-Trigger-After-Settle"] = "calls-changed"
    return answer


async def show_list(request: Request) -> Response:
    """Show the last calls."""
    return render(request, "_device_call_list.html", **await _find(request))


async def _find(request: Request) -> dict[str, Any]:
    stack, name = services_of(request).stack(), request.path_params["name"]
    try:
        calls, problem = await run_in_threadpool(list_calls, stack, name, USUALLY_LISTED), ""
    except StackError as error:
        calls, problem = [], str(error)
    is_busy = any(not CallState(one["state"]).is_over for one in calls)
    shown = [{**one, "data": _write(one["data"]), "answer": _write(one["answer"])} for one in calls]
    return {"name": name, "calls": shown, "is_busy": is_busy, "problem": problem}


def _write(value: Any) -> str:
    return "" if value is None else write_answer(value)
