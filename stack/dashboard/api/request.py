"""The bodies and headers of requests, read as Nuclio reads them."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.config.document import drop_unknown, parse_model
from stack.dashboard.security.headers import API, is_api

Model = TypeVar("Model", bound=BaseModel)

# A function with its source and all that it is built of is far smaller.
_MOST_BYTES = 64 * 2**20


async def read_body(request: Request) -> bytes:
    """Return a body.

    Raises:
        HTTPException: 413, it is too large.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, f"The body is larger than {_MOST_BYTES // 2**20} MiB.")
    return body


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body.

    Raises:
        HTTPException: 400, it holds something else; 413, it is too large.
    """
    body = await read_body(request)
    try:
        document = json.loads(body)
        # What JSON has no word for, and halves of characters, which nothing can be written with.
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"Failed to parse JSON body: {error}") from error
    if not isinstance(document, dict):
        raise HTTPException(400, f"Failed to parse JSON body: it should be an object, not {document!r:.60}")
    return document


async def read_model(request: Request, model: type[Model]) -> Model:
    """Return what a body describes; keys that the model does not know are passed over.

    Raises:
        HTTPException: it holds no JSON object.
        ConfigError: something in it is wrong.
    """
    return parse_document(model, await read_object(request))


def parse_document(model: type[Model], document: dict[str, Any], *, name: str = "body") -> Model:
    """Turn a document that a client sent into its model.

    Raises:
        ConfigError: something in it is wrong.
    """
    rest, _ = drop_unknown(model, document)
    return parse_model(model, rest, name=name)


def is_true(text: str | None) -> bool:
    """Return whether a header or a query's value stands for yes: only `true` does, in whatever case."""
    return (text or "").lower() == "true"


class SlashStripper:
    """Takes the slashes at the end of the API's paths away, since clients do not follow where a change is sent to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and is_api(scope) and scope["path"].endswith("/"):
            scope = dict(scope) | {"path": scope["path"].rstrip("/") or API}
        await self._app(scope, receive, send)


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
