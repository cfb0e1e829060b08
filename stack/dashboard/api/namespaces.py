"""GET /api/namespaces: the one namespace that there is."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.desk import desk_of


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/namespaces", _list, methods=["GET"])]


async def find_namespace(request: Request) -> str:
    """Return the namespace of whatever there is; which one a client names makes no difference."""
    stack = await run_in_threadpool(desk_of(request).stack)
    return stack.settings.namespace


async def _list(request: Request) -> Response:
    return JSONResponse({"namespaces": {"names": [await find_namespace(request)]}})
