"""Sessions: the server knows which there are, so that a logout ends one wherever a copy of its cookie is."""

import json
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.errors import HostError
from stack.run.secret.access import digest_token
from stack.run.state_file import parse_json
from stack.run.workspace import remove_file, write_file

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
        """Say whether a session goes on."""
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
