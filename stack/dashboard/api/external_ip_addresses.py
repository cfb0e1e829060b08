"""GET /api/external_ip_addresses: where this machine is reached."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.settings import Settings
from stack.dashboard.desk import desk_of

_LOCAL = "127.0.0.1"


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/external_ip_addresses", _list, methods=["GET"])]


def find_addresses(request: Request, settings: Settings) -> list[str]:
    """Return the addresses at which a client finds what the stack publishes.

    Where that is every address of the machine, it is the one that the client itself has called.
    """
    if settings.bind.is_unspecified:
        return [request.url.hostname or _LOCAL]
    return [str(settings.bind)]


async def _list(request: Request) -> Response:
    stack = await run_in_threadpool(desk_of(request).stack)
    return JSONResponse({"externalIPAddresses": {"addresses": find_addresses(request, stack.settings)}})
