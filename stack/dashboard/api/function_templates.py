"""/api/function_templates: what a new function can begin from."""

from typing import Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.document import NuclioDocument
from stack.dashboard.api.body import read_model
from stack.plan.go_template import render_template
from stack.run.catalogue.gallery import list_patterns


class Rendering(NuclioDocument):
    """A template, and the values to put into it."""

    template: str = Field(examples=["metadata:\n  name: {{ .name }}\n"])
    values: dict[str, Any] = Field({}, examples=[{"name": "reader"}])


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/function_templates", _list, methods=["GET"]),
        Route("/api/function_templates/render", _render, methods=["POST"]),
    ]


async def _list(request: Request) -> Response:
    wanted = request.headers.get("x-nuclio-filter-contains", "")
    patterns = await run_in_threadpool(list_patterns)
    return JSONResponse({one.name: one.describe() for one in patterns if one.contains(wanted)})


async def _render(request: Request) -> Response:
    rendering = await read_model(request, Rendering)
    document = await run_in_threadpool(render_template, rendering.template, rendering.values)
    return JSONResponse({"metadata": document.get("metadata", {}), "spec": document.get("spec", {})})
