"""The authenticator: knows the user's password and token, and who has shown them."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from asyncio import Lock, sleep
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.dashboard.security.headers import count_as, is_api, refuse
from stack.dashboard.security.session import Sessions
from stack.plan.gateway import LOGIN_HEADER
from stack.state.access import Access

# A wrong password waits so long, twice as long each time, up to the most; and is forgotten after a quiet while.
_FIRST_SECONDS, _MOST_SECONDS, _FORGET_SECONDS = 0.5, 16.0, 900.0
# Attempts of one address that may wait for their turn; more are refused at once.
_MOST_WAITING = 8
_MOST_ADDRESSES = 1000


class TooManyAttempts(Exception):  # noqa: N818 -- it is what HTTP calls its answer
    """Too many attempts of one address wait already."""


@dataclass
class _Record:
    turn: Lock = field(default_factory=Lock)
    waiting: int = 0
    delay: float = 0.0
    """Seconds that the last wrong password waited."""
    last: float = 0.0


class Throttle:
    """Lets each address try one password at a time."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    async def attempt(self, address: str, check: Callable[[], Awaitable[bool]]) -> bool:
        """Return what a check says; after a wrong one only when its time is over.

        Raises:
            TooManyAttempts: the address has too many attempts under way.
        """
        record = self._find(address)
        if record.waiting >= _MOST_WAITING:
            raise TooManyAttempts
        record.waiting += 1
        try:
            async with record.turn:
                return await self._take_turn(record, check)
        finally:
            record.waiting -= 1

    async def _take_turn(self, record: _Record, check: Callable[[], Awaitable[bool]]) -> bool:
        if await check():
            record.delay = 0.0
            return True
        record.delay = min(2 * record.delay, _MOST_SECONDS) or _FIRST_SECONDS
        record.last = time.monotonic()
        await sleep(record.delay)
        return False

    def _find(self, address: str) -> _Record:
        """Return an address's record; quiet ones are forgotten when there are many."""
        now = time.monotonic()
        if len(self._records) >= _MOST_ADDRESSES:
            kept = {key: one for key, one in self._records.items() if one.waiting or now - one.last < _FORGET_SECONDS}
            self._records = kept
        record = self._records.setdefault(address, _Record())
        if not record.waiting and now - record.last > _FORGET_SECONDS:
            record.delay = 0.0
        return record


# Credentials that were right are remembered, as keyed digests, since argon2 takes a twentieth of a second on purpose.
_MOST_REMEMBERED = 16


@dataclass
class Authenticator:
    """Lets the user in; without a login everybody is the user."""

    access: Access | None
    _throttle: Throttle = field(default_factory=Throttle)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _known: set[bytes] = field(default_factory=set)

    @property
    def generation(self) -> str:
        """Return what a session must carry to be of the current password."""
        return self.access.generation if self.access else ""

    async def takes_password(self, user: str, password: str, address: str) -> bool:
        """Return whether user and password are right; a wrong one takes its time, a right one waits for no one.

        Raises:
            TooManyAttempts: they are wrong, and the address has too many attempts under way.
        """
        if self.access and self.access.takes_password(user, password):
            return True
        mark = hmac.digest(self._key, f"{user}\0{password}".encode(), "sha256")
        if mark in self._known:
            return True
        is_right = await self._throttle.attempt(count_as(address), lambda: self._verify(user, password))
        if is_right and len(self._known) < _MOST_REMEMBERED:
            self._known.add(mark)
        return is_right

    async def takes_header(self, header: str, address: str) -> bool:
        """Return whether an Authorization header, of the basic or bearer kind, is right.

        Raises:
            TooManyAttempts: the address has too many attempts under way.
        """
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return await self._takes_token(value.strip(), address)
        pair = _read_basic(value) if scheme.lower() == "basic" else None
        return pair is not None and await self.takes_password(*pair, address)

    async def _takes_token(self, token: str, address: str) -> bool:
        access = self.access
        if access and access.takes_token(token):
            return True

        async def refuse() -> bool:
            return False

        return await self._throttle.attempt(count_as(address), refuse)

    async def _verify(self, user: str, password: str) -> bool:
        """Compare with the hash of an older release's login; newer ones have a digest, which was compared."""
        if self.access is None or self.access.password_digest:
            return False
        async with self._turn:
            return await asyncio.to_thread(_matches, self.access, user, password)


def _matches(access: Access | None, user: str, password: str) -> bool:
    if access is None:
        return False
    is_right = True
    try:
        PasswordHasher().verify(access.password_hash, password)
    except (Argon2Error, InvalidHashError):
        is_right = False
    # Both are looked at, so that the time does not tell which was wrong.
    return hmac.compare_digest(_flatten(user), _flatten(access.user)) and is_right


def _flatten(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _read_basic(value: str) -> tuple[str, str] | None:
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (user, password) if colon else None


PATH = "/login"
# What a login page needs, what tells Docker that the dashboard is healthy, and phones that become devices by a link.
_OPEN = (PATH, "/healthz", "/phone")
_OPEN_FOLDERS = ("/static/", "/phone/")
_GENERATION, _NAME = "generation", "name"
_LOGGED_OUT = "You are logged out. Log in in another tab, then try again."


def user_of(request: HTTPConnection) -> str:
    """Return who is logged in; no one where no login is needed."""
    return str(request.scope.get("login", ""))


def name_caller(request: HTTPConnection, face: str) -> str:
    """Return who changes or calls a device, by which face of the dashboard: the page, or the API."""
    return f"{face} {user_of(request)}".strip()


def is_login_needed(request: HTTPConnection) -> bool:
    """Return whether the dashboard asks for a login."""
    return authenticator_of(request).access is not None


def authenticator_of(request: HTTPConnection) -> Authenticator:
    """Return the authenticator of a request's application."""
    authenticator = request.app.state.authenticator
    assert isinstance(authenticator, Authenticator)
    return authenticator


def begin_session(request: HTTPConnection) -> None:
    """Remember in the session that the user is logged in; what the session held before is forgotten."""
    end_session(request)
    request.session[_GENERATION] = authenticator_of(request).generation
    request.session[_NAME] = _sessions_of(request).begin()


def end_session(request: HTTPConnection) -> None:
    """End the session, copies of its cookie included."""
    _sessions_of(request).end(str(request.session.get(_NAME, "")))
    request.session.clear()


def is_logged_in(request: HTTPConnection) -> bool:
    """Return whether who sent a request may still see what becomes of it: a session may have ended since."""
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

    def __init__(self, app: ASGIApp, authenticator: Authenticator, sessions: Sessions) -> None:
        self._app = app
        self._authenticator = authenticator
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
        access, headers = self._authenticator.access, Headers(scope=scope)
        if access is None:
            # It began before a login was wanted, and is about to be started again.
            return "" if LOGIN_HEADER in headers else "none"
        header = headers.get("authorization", "")
        if header:
            client = scope.get("client")
            is_right = await self._authenticator.takes_header(header, client[0] if client else "")
        else:
            session = scope.get("session", {})
            is_current = session.get(_GENERATION) == access.generation
            is_right = is_current and self._sessions.is_alive(str(session.get(_NAME, "")))
        scope["login"] = access.user if is_right else ""
        return ("header" if header else "session") if is_right else ""


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_FOLDERS)


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
        # The page stays as it is: with what was typed there, the same can be sent again.
        await refuse(scope, receive, send, status=401, message=_LOGGED_OUT)
    else:
        await RedirectResponse(target, 303)(scope, receive, send)
