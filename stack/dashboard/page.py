"""Pages and their parts, rendered from templates/dashboard."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stack.dashboard.figures import FILTERS
from stack.dashboard.security.auth import is_login_needed, user_of
from stack.dashboard.security.session import FIELD, give_token
from stack.dashboard.services import services_of
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
