"""Paths of the API: a slash at the end says nothing, as in Nuclio."""

from starlette.types import ASGIApp, Receive, Scope, Send

from stack.dashboard.security.answer import API, is_api


class SlashStripper:
    """Takes the slashes at the end of the API's paths away, since clients do not follow where a change is sent to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and is_api(scope) and scope["path"].endswith("/"):
            scope = dict(scope) | {"path": scope["path"].rstrip("/") or API}
        await self._app(scope, receive, send)
