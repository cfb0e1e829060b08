"""Sessions: the server knows which there are, so that a logout ends one wherever a copy of its cookie is."""

import hmac
import json
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.dashboard.security.headers import WELCOME, refuse
from stack.errors import HostError
from stack.state.access import digest_token
from stack.state.workspace import parse_json, remove_file, write_file

_PRIVATE = 0o600
# The newest so many are kept.
_MOST = 1000
# Seconds that the clock may have been set back meanwhile.
_SETBACK = 300.0


class Sessions:
    """The sessions that a login began, each for so many seconds; a file keeps them when the dashboard starts again.

    Of each the digest of its name is kept, and the time at which it began, in seconds since 1970.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._lock = threading.Lock()
        self._begun = self._read()

    def begin(self) -> str:
        """Begin a session and return its name, which is a secret; on a full disk it ends with the dashboard."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            alive = {key: begun for key, begun in self._begun.items() if self._lasts(begun)}
            alive[digest_token(name)] = time.time()
            self._begun = dict(sorted(alive.items(), key=lambda one: one[1])[-_MOST:])
            with suppress(HostError):
                self._write()
        return name

    def is_alive(self, name: str) -> bool:
        """Return whether a session goes on."""
        begun = self._begun.get(digest_token(name))
        return begun is not None and self._lasts(begun)

    def end(self, name: str) -> None:
        """End a session; where that cannot be written down, all end when the dashboard starts again."""
        with self._lock:
            if self._begun.pop(digest_token(name), None) is None:
                return
            try:
                self._write()
            except HostError:
                remove_file(self._path)

    def _lasts(self, begun: float) -> bool:
        return -_SETBACK < time.time() - begun < self._seconds

    def _read(self) -> dict[str, float]:
        """Return what was kept; of what cannot be read nothing is believed, so that everybody logs in again."""
        try:
            return parse_json(dict[str, float], self._path.read_bytes())
        except (OSError, ValueError):
            return {}

    def _write(self) -> None:
        write_file(self._path, json.dumps(self._begun).encode() + b"\n", _PRIVATE)


class SessionCookies:
    """Keeps a browser's session in a signed cookie, which is for TLS alone where the request came by TLS."""

    def __init__(self, app: ASGIApp, *, key: str, name: str, seconds: int) -> None:
        self._plain, self._secure = (
            SessionMiddleware(
                app, secret_key=key, session_cookie=name, max_age=seconds, same_site="lax", https_only=is_secure
            )
            for is_secure in (False, True)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        chosen = self._secure if scope.get("scheme") == "https" else self._plain
        await chosen(scope, receive, send)


FIELD, HEADER = "csrf_token", "x-csrf-token"
# Of the query of a login that is asked again.
OLD = "old"
_REFUSED = (
    "This page is older than its login, or another site sent this. "
    "Do it once more; if it is refused again, load the page again."
)

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
    """Refuses changes that another site may have sent; of our own pages, what was sent to `login` is asked again.

    A page that is older than its session is given the token of now, and keeps what was typed.
    """

    def __init__(self, app: ASGIApp, login: str) -> None:
        self._app = app
        self._login = login

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
        elif scope["path"] == self._login:
            # It was open for long, or another tab has logged in meanwhile.
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{self._login}?{query}&{OLD}", 303)(scope, receive, send)
        else:
            # A page of another site can neither send the header nor read the answer.
            fresh = {HEADER: give_token(request)} if HEADER in request.headers else None
            await refuse(scope, receive, send, status=403, message=_REFUSED, headers=fresh)


def _is_of_program(scope: Scope) -> bool:
    """Return whether no browser sends this: it shows a credential or, where none is needed, tells no origin.

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
