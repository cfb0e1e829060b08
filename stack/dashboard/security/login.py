"""The login: who is asked for it, and what takes its place for programs."""

from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.dashboard.security.answer import is_api, refuse
from stack.dashboard.security.gatekeeper import Gatekeeper
from stack.dashboard.security.session import Sessions
from stack.dashboard.security.throttle import TooManyAttempts

PATH = "/login"
# What a login page needs, and what tells Docker that the dashboard is healthy.
_OPEN = (PATH, "/healthz")
_OPEN_FOLDER = "/static/"
_GENERATION, _NAME = "generation", "name"


def user_of(request: HTTPConnection) -> str:
    """Return who is logged in; nobody where no login is needed."""
    return str(request.scope.get("login", ""))


def is_login_needed(request: HTTPConnection) -> bool:
    """Say whether the dashboard asks for a login."""
    return gatekeeper_of(request).access is not None


def gatekeeper_of(request: HTTPConnection) -> Gatekeeper:
    """Return the gatekeeper of a request's application."""
    gatekeeper = request.app.state.gatekeeper
    assert isinstance(gatekeeper, Gatekeeper)
    return gatekeeper


def begin_session(request: HTTPConnection) -> None:
    """Remember in the session that the user is logged in; what the session held before is forgotten."""
    end_session(request)
    request.session[_GENERATION] = gatekeeper_of(request).generation
    request.session[_NAME] = _sessions_of(request).begin()


def end_session(request: HTTPConnection) -> None:
    """End the session, copies of its cookie included."""
    _sessions_of(request).end(str(request.session.get(_NAME, "")))
    request.session.clear()


def is_logged_in(request: HTTPConnection) -> bool:
    """Say whether who sent a request may still see what becomes of it: a session may have ended since."""
    if request.scope.get("credential") != "session":
        return True
    return _sessions_of(request).is_alive(str(request.session.get(_NAME, "")))


def _sessions_of(request: HTTPConnection) -> Sessions:
    sessions = request.app.state.sessions
    assert isinstance(sessions, Sessions)
    return sessions


class LoginGuard:
    """Lets requests pass of which it is known who sends them.

    The scope is told of it: `login` is the user, `credential` is header, session, or none where no login is needed.
    """

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper, sessions: Sessions) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or ask for a login."""
        if scope["type"] == "http":
            try:
                scope["credential"] = await self._find_credential(scope)
            except TooManyAttempts:
                message = "Too many wrong passwords; try again in a minute."
                await refuse(scope, receive, send, status=429, message=message, headers={"Retry-After": "60"})
                return
            if not scope["credential"] and not _is_open(scope["path"]):
                await _ask(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _find_credential(self, scope: Scope) -> str:
        access = self._gatekeeper.access
        if access is None:
            return "none"
        header = Headers(scope=scope).get("authorization", "")
        if header:
            client = scope.get("client")
            is_right = await self._gatekeeper.takes_header(header, client[0] if client else "")
        else:
            session = scope.get("session", {})
            is_current = session.get(_GENERATION) == access.generation
            is_right = is_current and self._sessions.is_alive(str(session.get(_NAME, "")))
        scope["login"] = access.user if is_right else ""
        return ("header" if header else "session") if is_right else ""


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_FOLDER)


async def _ask(scope: Scope, receive: Receive, send: Send) -> None:
    """Ask a program for its credential, and lead a person to the login."""
    if is_api(scope):
        headers = {"WWW-Authenticate": 'Basic realm="Tidegate"'}
        message = "A login is needed: HTTP basic, or a bearer token; `invoke credentials` makes them."
        await refuse(scope, receive, send, status=401, message=message, headers=headers)
        return
    query = scope.get("query_string", b"").decode("latin-1")
    target = f"{PATH}?next={quote(scope['path'] + (f'?{query}' if query else ''), safe='')}"
    given = Headers(scope=scope)
    if given.get("hx-request") or "text/event-stream" in given.get("accept", ""):
        await Response(status_code=401, headers={"HX-Redirect": PATH})(scope, receive, send)
    else:
        await RedirectResponse(target, 303)(scope, receive, send)
