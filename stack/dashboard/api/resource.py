"""Routes of one path as one, so that an answer of 405 names all methods that it has."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

Handler = Callable[[Request], Awaitable[Response]]


def join_methods(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """Return one route for each path, at the place of its first."""
    by_path: dict[str, dict[str, Handler]] = {}
    for route in routes:
        assert isinstance(route, Route)
        handlers = by_path.setdefault(route.path, {})
        handlers |= dict.fromkeys(route.methods or (), route.endpoint)
    return [Route(path, _choose(handlers), methods=list(handlers)) for path, handlers in by_path.items()]


def _choose(handlers: dict[str, Handler]) -> Handler:
    async def handle(request: Request) -> Response:
        return await handlers[request.method](request)

    return handle
