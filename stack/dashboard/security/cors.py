"""Pages of other sites: those that stack.yaml lists may use the API, as any may with Nuclio's dashboard."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.dashboard.security.answer import is_api

_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_EXPOSED = ("Content-Length", "X-Nuclio-Logs")
_HEADERS = (
    "Accept",
    "Authorization",
    "Content-Length",
    "Content-Type",
    "X-CSRF-Token",
    "X-Nuclio-Api-Gateway-Name",
    "X-Nuclio-Api-Gateway-Namespace",
    "X-Nuclio-Creation-State-Updated-Timeout",
    "X-Nuclio-Delete-Function-Ignore-State-Validation",
    "X-Nuclio-Delete-Function-With-Api-Gateways",
    "X-Nuclio-Delete-Project-Strategy",
    "X-Nuclio-Filter-Contains",
    "X-Nuclio-Function-Event-Name",
    "X-Nuclio-Function-Event-Namespace",
    "X-Nuclio-Function-Name",
    "X-Nuclio-Function-Namespace",
    "X-Nuclio-Invoke-Timeout",
    "X-Nuclio-Invoke-Url",
    "X-Nuclio-Invoke-Via",
    "X-Nuclio-Log-Level",
    "X-Nuclio-Path",
    "X-Nuclio-Project-Name",
    "X-Nuclio-Project-Namespace",
    "X-Nuclio-Wait-Function-Action",
)
# Nuclio's: how long a browser remembers what it may.
_SECONDS = 300
# What the scope is told of a request of such a page.
WELCOME = "is_welcome"


class Cors:
    """Answers browsers that ask whether a page of another site may use the API; of other sites it says nothing."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._welcoming = CORSMiddleware(
            app,
            allow_origins=tuple(origins),
            allow_methods=_METHODS,
            allow_headers=_HEADERS,
            expose_headers=_EXPOSED,
            allow_credentials=True,
            max_age=_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and is_api(scope) and Headers(scope=scope).get("origin") in self._origins:
            scope[WELCOME] = True
            await self._welcoming(scope, receive, send)
        else:
            await self._app(scope, receive, send)
