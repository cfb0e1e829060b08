"""GET /api/openapi.json: the API as an OpenAPI document."""

import json
from functools import cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.api.description.operation import Operation, describe_schemas, refer
from stack.dashboard.api.description.resource import FUNCTION_EVENTS, FUNCTIONS, PLATFORM, PROJECTS
from stack.dashboard.api.platform import LABEL

_ABOUT = (
    "Nuclio's REST API, so that its clients work without a change. API gateways and v3io streams, which need "
    "Kubernetes or the Iguazio platform, are not described: there are none, and changes answer 501. A login is needed "
    "where other machines can reach the dashboard."
)
_OPERATIONS = (*FUNCTIONS, *PROJECTS, *FUNCTION_EVENTS, *PLATFORM)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/openapi.json", _tell, methods=["GET"])]


def list_operations() -> tuple[Operation, ...]:
    """Return everything that the document describes."""
    return _OPERATIONS


def make_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in _OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = one.describe()
    failure = {"description": "It failed.", "content": {"application/json": {"schema": refer("Error")}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate's dashboard", "version": LABEL, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": describe_schemas(),
            "responses": {"Failure": failure},
            "securitySchemes": {kind: {"type": "http", "scheme": kind} for kind in ("basic", "bearer")},
        },
    }


async def _tell(_: Request) -> Response:
    return Response(await run_in_threadpool(_encode), media_type="application/json")


@cache
def _encode() -> bytes:
    return json.dumps(make_document()).encode()
