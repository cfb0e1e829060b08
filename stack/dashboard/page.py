"""Pages and their parts, rendered from templates/dashboard."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.security.auth import is_logged_in, is_login_needed, user_of
from stack.dashboard.security.session import FIELD, give_token
from stack.dashboard.services import services_of
from stack.errors import StackError
from stack.live.broadcaster import Broadcaster
from stack.live.channel import Update
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
    environment.filters["mark_code"] = mark_code
    return environment


# Milliseconds after which a browser tries a lost connection again; seconds between two comments that keep it.
_RETRY = 1000
_PING_SECONDS = 15
# Seconds that the stream has to end in order when the dashboard does.
_GRACE_SECONDS = 1.0
# Events that are kept as bytes for the next page that wants them.
_ENCODED = 64


def routes() -> list[BaseRoute]:
    """Return the route of the stream."""
    return [Route("/live", _stream)]


async def _stream(request: Request) -> Response:
    """Stream the topics of `?topics=a,b`, each name quoted for itself."""
    broadcaster = services_of(request).broadcaster
    topics = read_topics(request.url.query)
    try:
        broadcaster.check(topics)
    except StackError as error:
        return PlainTextResponse(f"{error}\n", 404)
    return EventSourceResponse(
        _encode_all(broadcaster, topics, lambda: is_logged_in(request)),
        ping=_PING_SECONDS,
        shutdown_event=broadcaster.ending,
        shutdown_grace_period=_GRACE_SECONDS,
    )


def read_topics(query: str) -> Sequence[str]:
    """Return the topics of a query string; a quoted comma does not part two of them."""
    values = (pair.partition("=")[2] for pair in query.split("&") if pair.startswith("topics="))
    return [unquote(name) for value in values for name in value.split(",") if name]


async def _encode_all(
    broadcaster: Broadcaster, topics: Sequence[str], may_see: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield events until who follows them is logged out."""
    yield ServerSentEvent(comment="live", retry=_RETRY).encode()
    async with aclosing(broadcaster.follow(topics)) as updates:
        async for update in updates:
            if not may_see():
                return
            yield _encode(update)


@lru_cache(_ENCODED)
def _encode(update: Update) -> bytes:
    """Write an update as an event, once for all pages that are told of it."""
    return ServerSentEvent(update.text, event=update.topic, id=str(update.number)).encode()
