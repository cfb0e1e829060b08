"""The files that pages load: small on their way, and asked for again only as far as they have changed."""

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from stack.state.workspace import PROGRAM

_FOLDER = PROGRAM / "stack" / "dashboard" / "static"
# Where more work makes files hardly smaller.
_LEVEL = 6


def mount() -> Mount:
    """Return what serves the files."""
    return Mount("/static", _Files(directory=_FOLDER), middleware=[Middleware(GZipMiddleware, compresslevel=_LEVEL)])


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer that browsers have to ask whether what they keep still holds; without that they guess."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
