"""GET /api/versions: which release of Nuclio's API this is."""

import platform
import sys

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

# MLRun reads it as a semantic version and goes by it; this is the release whose API is offered here.
LABEL = "1.13.0"
# Go's names of what Python calls otherwise.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/versions", _list, methods=["GET"])]


async def _list(_: Request) -> Response:
    machine = platform.machine()
    version = {
        "label": LABEL,
        "gitCommit": "tidegate",
        "os": sys.platform,
        "arch": _ARCHITECTURES.get(machine, machine),
    }
    return JSONResponse({"dashboard": version})
