"""/api/v3io_streams: streams of the Iguazio platform, of which there are none here."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/v3io_streams", _refuse, methods=["GET", "POST"]),
        Route("/api/v3io_streams/{rest:path}", _refuse, methods=["GET", "POST"]),
    ]


async def _refuse(_: Request) -> Response:
    raise HTTPException(501, "v3io streams are Iguazio's and not supported here; rabbit-mq and mqtt are.")
