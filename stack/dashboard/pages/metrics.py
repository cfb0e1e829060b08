"""The tab of a function's figures: charts of the time while it is open, and the sums since its containers started."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.pages.function import render_tab


def routes() -> list[BaseRoute]:
    """Return the route of this tab."""
    return [Route("/functions/{name}/metrics", show_tab)]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    return await render_tab(request, "metrics.html", name=request.path_params["name"])
