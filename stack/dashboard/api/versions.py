"""GET /api/versions: which release of Nuclio's API this is."""

import sys

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.run.host import find_architecture

# MLRun reads it as a semantic version and goes by it; this is the release whose API is offered here.
LABEL = "1.13.0"


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/versions", _list, methods=["GET"])]


async def _list(_: Request) -> Response:
    version = {"label": LABEL, "gitCommit": "tidegate", "os": sys.platform, "arch": find_architecture()}
    return JSONResponse({"dashboard": version})
