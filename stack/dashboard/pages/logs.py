"""The tab of a function's log: live, and what was said before, to look at or to take away."""

import time
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stack.contract import parse_duration
from stack.dashboard.pages.function import render_tab
from stack.dashboard.services import services_of
from stack.live.log import MOST_LINES, Excerpt, RecordReader, read_transcript, write_transcript

_PATH = "/functions/{name}/logs"
_LEVELS = ("debug", "info", "warn", "error")
# What the page offers to look back at: the query's rest, and what it is called.
_HISTORIES = (
    ("tail=500", "Last 500 lines"),
    ("tail=5000", "Last 5000 lines"),
    ("since=5m", "Last 5 minutes"),
    ("since=1h", "Last hour"),
    ("since=24h", "Last day"),
)


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(_PATH, show_tab),
        Route(f"{_PATH}/lines", tell_lines),
        Route(f"{_PATH}/text", download),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    name = request.path_params["name"]
    return await render_tab(request, "logs.html", name=name, levels=_LEVELS, histories=_HISTORIES)


async def tell_lines(request: Request) -> Response:
    """Tell what was said before."""
    return await run_in_threadpool(_tell, await _read(request))


def _tell(entries: Sequence[dict[str, Any]]) -> JSONResponse:
    """Return the records of lines; of a day there may be many, which would keep other pages waiting."""
    reader = RecordReader()
    return JSONResponse({"entries": [reader.read(one) for one in entries]})


async def download(request: Request) -> Response:
    """Hand out what was said as a file."""
    text = write_transcript(await _read(request))
    name = request.path_params["name"]
    headers = {"content-disposition": f'attachment; filename="{name}-{time.strftime("%Y%m%d-%H%M%S")}.log"'}
    return PlainTextResponse(text, headers=headers)


async def _read(request: Request) -> tuple[dict[str, Any], ...]:
    engine = (await run_in_threadpool(services_of(request).stack)).engine
    return await read_transcript(engine, request.path_params["name"], excerpt=_read_query(request))


def _read_query(request: Request) -> Excerpt:
    """Return which lines are asked for.

    Raises:
        HTTPException: the query says it in a way that no one understands.
    """
    tail, since = request.query_params.get("tail", str(MOST_LINES)), request.query_params.get("since", "")
    if not (tail.isascii() and tail.isdecimal()):
        raise HTTPException(400, f"tail should be a number of lines, not {tail!r:.40}.")
    try:
        return Excerpt(int(tail), max(time.time() - parse_duration(since), 0.0) if since else 0.0)
    except ValueError as error:
        raise HTTPException(400, f"since: {error}") from error
