"""/api/api_gateways: ingresses of Kubernetes, of which there are none here."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

_CHANGES = ["POST", "PUT", "DELETE"]
_WHY = "API gateways are Kubernetes' and not supported on Docker; every HTTP function answers at the stack's gateway."


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/api_gateways", _list, methods=["GET"]),
        Route("/api/api_gateways/{name}", _find, methods=["GET"]),
        Route("/api/api_gateways", _refuse, methods=_CHANGES),
        Route("/api/api_gateways/{name}", _refuse, methods=_CHANGES),
    ]


async def _list(_: Request) -> Response:
    return JSONResponse({})


async def _find(request: Request) -> Response:
    raise HTTPException(404, f"There is no API gateway {request.path_params['name']}. {_WHY}")


async def _refuse(_: Request) -> Response:
    raise HTTPException(501, _WHY)
