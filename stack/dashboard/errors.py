"""What fails, in words: Nuclio's error object for its API, a page for people."""

import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.dashboard.page import render
from stack.dashboard.security.headers import is_api
from stack.errors import ConfigError, ConflictError, FunctionError, StackError

Handler = Callable[[Request, Any], Awaitable[Response]]

_STATUSES = {ConfigError: 400, FunctionError: 400, ConflictError: 409}
_DEFECT = "This is a defect of Tidegate; the dashboard's log tells more: invoke logs dashboard."


def handlers() -> Mapping[Any, Handler]:
    """Return what answers each kind of failure."""
    return {HTTPException: _tell_status, StackError: _tell_error, Exception: _tell_defect}


def answer_failure(request: Request, status: int, message: str) -> Response:
    """Answer that a request failed: as JSON to programs, as words to who looks at a page."""
    if is_api(request.scope) or request.headers.get("accept", "").startswith("application/json"):
        return JSONResponse({"error": message.partition("\n")[0], "errorStackTrace": message}, status)
    if request.headers.get("hx-request"):
        return render(request, "_problem.html", status=status, message=message)
    return render(request, "problem.html", status=status, code=status, message=message)


async def _tell_status(request: Request, error: HTTPException) -> Response:
    answer = answer_failure(request, error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _tell_error(request: Request, error: StackError) -> Response:
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)
    return answer_failure(request, status, str(error))


async def _tell_defect(request: Request, error: Exception) -> Response:
    traceback.print_exception(error, file=sys.stderr)
    return answer_failure(request, 500, _DEFECT)
