"""Pages and their parts, rendered from templates/dashboard; and what fails, in words, for people and for programs."""

import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from stack.dashboard.figures import FILTERS
from stack.dashboard.security.auth import is_login_needed, user_of
from stack.dashboard.security.headers import is_api
from stack.dashboard.security.session import FIELD, give_token
from stack.dashboard.services import services_of
from stack.errors import ConfigError, ConflictError, DeviceError, DeviceServiceError, FunctionError, StackError
from stack.state.workspace import PROGRAM

_FOLDER = PROGRAM / "templates" / "dashboard"
_CODE = re.compile("`([^`]*)`")


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page, or a part of one; every template knows the request, its user and its CSRF token."""
    token = give_token(request)
    shared = {
        "request": request,
        "project": services_of(request).project,
        "user": user_of(request),
        "is_login_needed": is_login_needed(request),
        "csrf_token": token,
        "csrf_field": lambda: Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token),
    }
    return HTMLResponse(_environment().get_template(template).render(shared | context), status)


def render_part(template: str, **context: Any) -> str:
    """Return a part of a page that is the same for all who look at it."""
    return _environment().get_template(template).render(context)


def compile_pages() -> None:
    """Compile every template, so that no one's first page waits for it."""
    environment = _environment()
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)


def mark_code(text: str) -> Markup:
    """Write what stands in backticks, as commands do in messages, as code."""
    parts = _CODE.split(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


@cache
def _environment() -> Environment:
    undefined: type[Undefined] = StrictUndefined
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=undefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS | {"mark_code": mark_code}
    return environment


Handler = Callable[[Request, Any], Awaitable[Response]]

_STATUSES = {ConfigError: 400, FunctionError: 400, DeviceError: 404, ConflictError: 409, DeviceServiceError: 503}
_DEFECT = "This is a defect of Tidegate; the dashboard's log tells more: invoke logs dashboard."


def handlers() -> Mapping[Any, Handler]:
    """Return what answers each kind of failure."""
    return {HTTPException: _tell_status, StackError: _tell_error, Exception: _tell_defect}


def answer_failure(request: Request, status: int, *, message: str) -> Response:
    """Answer that a request failed: as JSON to programs, as words to who looks at a page."""
    if is_api(request.scope) or request.headers.get("accept", "").startswith("application/json"):
        return JSONResponse({"error": message.partition("\n")[0], "errorStackTrace": message}, status)
    if request.headers.get("hx-request"):
        return render(request, "_problem.html", status=status, message=message)
    return render(request, "problem.html", status=status, code=status, message=message)


async def _tell_status(request: Request, error: HTTPException) -> Response:
    answer = answer_failure(request, error.status_code, message=str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _tell_error(request: Request, error: StackError) -> Response:
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)
    return answer_failure(request, status, message=str(error))


async def _tell_defect(request: Request, error: Exception) -> Response:
    traceback.print_exception(error, file=sys.stderr)
    return answer_failure(request, 500, message=_DEFECT)
