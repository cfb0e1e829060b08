"""Changes: each needs the session's token, or a credential that no browser sends by itself.

Where no login is needed, a client that is no browser has no credential to show: it is known by what it does not send,
since every browser tells the origin of a request that changes something.
"""

import hmac
import secrets
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.dashboard.security.answer import refuse
from stack.dashboard.security.cors import WELCOME

FIELD, HEADER = "csrf_token", "x-csrf-token"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# What browsers send with a change, and programs do not.
_OF_BROWSERS = ("origin", "referer", "sec-fetch-site", "sec-fetch-mode", "cookie")
_FORM = "application/x-www-form-urlencoded"
# No plain form of ours is longer.
_MOST_BYTES = 64 * 1024


def give_token(request: HTTPConnection) -> str:
    """Return the token of a session, which is made the first time."""
    token = request.session.setdefault("csrf", "")
    if not token:
        token = request.session["csrf"] = secrets.token_urlsafe(24)
    return str(token)


class CsrfGuard:
    """Refuses changes that another site may have sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] in _SAFE or _is_of_program(scope):
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        given = request.headers.get(HEADER, "")
        if not given and request.headers.get("content-type", "").startswith(_FORM):
            body = await _read(Request(scope, receive))
            given, receive = _find_field(body), _replay(body, receive)
        if _matches(given, str(request.session.get("csrf", ""))):
            await self._app(scope, receive, send)
        else:
            message = "This page is too old, or another site sent this; load the page again, then do it once more."
            await refuse(scope, receive, send, status=403, message=message)


def _is_of_program(scope: Scope) -> bool:
    """Say whether no browser sends this: it shows a credential or, where none is needed, tells no origin.

    A page of a site that stack.yaml lists counts as a program.
    """
    headers = Headers(scope=scope)
    if scope.get("credential") == "header":
        return scope.get(WELCOME, False) or _is_own_origin(headers)
    is_welcome = scope.get(WELCOME, False) or not any(name in headers for name in _OF_BROWSERS)
    return scope.get("credential") == "none" and is_welcome


def _is_own_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def _matches(given: str, wanted: str) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


async def _read(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            break
    return body


def _find_field(body: bytes) -> str:
    try:
        found = parse_qs(body.decode()).get(FIELD, [""])
    except ValueError:
        return ""
    return found[0]


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives the body once more."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again
