"""The tab of a function's dead letters: looked at, sent again, discarded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.figures import excerpt, present
from stack.dashboard.live import Fragment, Known
from stack.dashboard.page import render
from stack.dashboard.pages.function import add_toast, render_tab
from stack.dashboard.services import Services, services_of
from stack.docker.stack import Stack
from stack.errors import BrokerError, FunctionError, StackError
from stack.plan.dead_letter import Letter
from stack.plan.function import own_queues
from stack.rabbitmq.dead_letter import Choice, Listing, discard_letters, list_letters, replay_letters

_PATH = "/functions/{name}/dead-letters"
# How many letters are read at once, and how many of them are shown unless more are asked for.
_READ, _SHOWN = 1000, 50
_EXCERPT = 120


@dataclass(frozen=True)
class Row:
    """A letter in the list."""

    key: str
    queue: str
    about: Mapping[str, Any]
    excerpt: str


@dataclass(frozen=True)
class Shelf:
    """What the list shows; `problem` says why it cannot be read."""

    rows: Sequence[Row] = ()
    read: int = 0
    total: int = 0
    through: Sequence[str] = ()
    """The keys of the last letter of each queue that was read."""
    match: str = ""
    limit: int = _SHOWN
    has_queue: bool = True
    problem: str = ""


def _count_dead(_: Services, name: str, known: Known) -> dict[str, Any]:
    return {"dead": (known["functions"] or {}).get(name, {}).get("dead")}


COUNT = Fragment("dead-letters:", "_dead_count.html", ("functions",), _count_dead)


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(_PATH, show_tab),
        Route(f"{_PATH}/list", show_list),
        Route(f"{_PATH}/letters/{{key}}", show_letter),
        Route(f"{_PATH}/letters/{{key}}/body", download_body),
        Route(f"{_PATH}/replay", replay, methods=["POST"]),
        Route(f"{_PATH}/discard", discard, methods=["POST"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    shelf = await _read_shelf(request, request.query_params)
    return await render_tab(request, "dead_letters.html", shelf=shelf, name=request.path_params["name"])


async def show_list(request: Request) -> Response:
    """Show the list alone."""
    return await _answer(request, request.query_params)


async def show_letter(request: Request) -> Response:
    """Show one letter as a whole."""
    name, key = request.path_params["name"], request.path_params["key"]
    try:
        letter = await _find(request)
    except StackError as error:
        return render(request, "_dead_letter.html", name=name, key=key, problem=str(error), letter=None)
    return render(
        request, "_dead_letter.html", name=name, key=key, problem="",
        letter=letter, about=letter.describe(), content=present(letter.body),
    )  # fmt: skip


async def download_body(request: Request) -> Response:
    """Hand out the bytes of one letter as a file; a browser shows none of them as a page of ours."""
    try:
        letter = await _find(request)
    except FunctionError as error:
        raise HTTPException(404, str(error)) from error
    headers = {"content-disposition": f'attachment; filename="{letter.key}.bin"'}
    return Response(letter.body, media_type="application/octet-stream", headers=headers)


async def replay(request: Request) -> Response:
    """Send one letter again, or all that were seen."""
    stack, choice = services_of(request).stack(), await _read_choice(request)
    try:
        done = await run_in_threadpool(replay_letters, stack, choice)
    except StackError as error:
        return await _say(request, str(error), level="warn")
    if done.problem:
        return await _say(request, f"{_count(done.sent)} sent again. {done.problem}", level="warn")
    return await _say(request, f"{_count(done.sent)} sent again.", level="ok")


async def discard(request: Request) -> Response:
    """Discard one letter, or all that were seen."""
    stack, choice = services_of(request).stack(), await _read_choice(request)
    try:
        done = await run_in_threadpool(discard_letters, stack, choice)
    except StackError as error:
        return await _say(request, str(error), level="warn")
    return await _say(request, f"{_count(done)} discarded.", level="ok")


async def _find(request: Request) -> Letter:
    choice = Choice(request.path_params["name"], key=request.path_params["key"])
    listing = await run_in_threadpool(list_letters, services_of(request).stack(), choice)
    return listing.letters[0]


async def _read_choice(request: Request) -> Choice:
    """Return which letters are meant.

    Raises:
        HTTPException: the request does not say, and so might mean letters that no one has seen.
    """
    form = await request.form()
    key, through = str(form.get("key", "")), frozenset(map(str, form.getlist("through")))
    if not key and not through:
        raise HTTPException(400, "Say which letters: `key`, or `through`.")
    match = "" if key else str(form.get("match", ""))
    return Choice(request.path_params["name"], key=key, match=match, through=frozenset() if key else through)


async def _say(request: Request, text: str, *, level: str) -> Response:
    """Answer with what is there now, and say what was done."""
    return add_toast(await _answer(request, await request.form()), text, level=level)


async def _answer(request: Request, query: Mapping[str, Any]) -> Response:
    shelf = await _read_shelf(request, query)
    return render(request, "_dead_letters.html", shelf=shelf, name=request.path_params["name"])


async def _read_shelf(request: Request, query: Mapping[str, Any]) -> Shelf:
    match, limit = str(query.get("match", "")), str(query.get("limit", ""))
    shown = min(int(limit), _READ) if limit.isdecimal() else _SHOWN
    return await run_in_threadpool(_look, services_of(request).stack(), request.path_params["name"], match, shown)


def _look(stack: Stack, name: str, match: str, shown: int) -> Shelf:
    if not _has_queue(stack, name):
        return Shelf(has_queue=False)
    try:
        listing = list_letters(stack, Choice(name, match=match, count=_READ))
    except (BrokerError, FunctionError) as error:
        return Shelf(match=match, problem=str(error))
    return _arrange(listing, match, shown=shown)


def _has_queue(stack: Stack, name: str) -> bool:
    return any(own_queues(service.plan) for service in stack.inputs.services if service.plan.name == name)


def _arrange(listing: Listing, match: str, *, shown: int) -> Shelf:
    letters = listing.letters
    rows = [Row(one.key, one.target, one.describe(), excerpt(one.body, _EXCERPT)) for one in letters[:shown]]
    last = {letter.queue: letter.key for letter in letters}
    return Shelf(rows, len(letters), listing.total, tuple(last.values()), match, shown)


def _count(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"
