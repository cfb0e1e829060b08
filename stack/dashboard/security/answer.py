"""Refusals, in the form that the client understands: JSON for Nuclio's API, plain words for pages."""

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

API = "/api"


def is_api(scope: Scope) -> bool:
    """Say whether a request is one of Nuclio's API."""
    path = str(scope["path"])
    return path == API or path.startswith(f"{API}/")


async def refuse(
    scope: Scope, receive: Receive, send: Send, *, status: int, message: str, headers: dict[str, str] | None = None
) -> None:
    """Answer that a request is refused, and why."""
    answer: Response
    if is_api(scope):
        answer = JSONResponse({"error": message, "errorStackTrace": message}, status, headers)
    else:
        answer = PlainTextResponse(f"{message}\n", status, headers)
    await answer(scope, receive, send)
