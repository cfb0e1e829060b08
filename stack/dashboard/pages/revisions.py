"""The tab with a function's revisions: what was deployed, what differs, and the way back."""

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.pages.function import find_free_record, find_record, has_folder, render_tab
from stack.dashboard.services import Services, services_of
from stack.errors import StackError
from stack.run.catalogue import FunctionRecord
from stack.run.revision import FOLDER_NUMBER, Comparison, Revision, compare_revisions, list_revisions, restore_revision
from stack.state.deploy_log import Attempt
from stack.state.revision_files import find_snapshot

_PATH = "/functions/{name}/revisions"


@dataclass(frozen=True)
class Choice:
    """The two sides of a comparison; 0 is the folder."""

    before: int
    after: int


@dataclass(frozen=True)
class View:
    """What the tab shows; `problem` is why there is no comparison."""

    revisions: tuple[Revision, ...]
    kept: frozenset[int]
    has_folder: bool
    choice: Choice | None = None
    comparison: Comparison | None = None
    problem: str = ""


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(_PATH, show_tab),
        Route(f"{_PATH}/{{number:int}}/restore", restore_files, methods=["POST"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab, with a comparison if one is asked for."""
    record = await find_record(request)
    view = await run_in_threadpool(_look, services_of(request), record, _read_choice(request))
    deploys = [(_write_time(one), one) for one in reversed(record.attempts)]
    return await render_tab(request, "revisions.html", view=view, deploys=deploys)


async def restore_files(request: Request) -> Response:
    """Give the function's folder the files of a revision."""
    services, record, number = services_of(request), await find_free_record(request), request.path_params["number"]
    await run_in_threadpool(restore_revision, services.workspace, record.name, number)
    services.catalogue.forget()
    return Response(headers={"HX-Redirect": f"/functions/{record.name}/code"})


def _read_choice(request: Request) -> Choice | None:
    query = request.query_params
    try:
        return Choice(int(query["before"]), int(query["after"])) if "before" in query else None
    except (ValueError, KeyError) as error:
        raise HTTPException(400, "before and after should be numbers of revisions.") from error


def _write_time(attempt: Attempt) -> str:
    return datetime.fromtimestamp(attempt.begin.time / 1000, UTC).isoformat(timespec="seconds")


def _look(services: Services, record: FunctionRecord, choice: Choice | None) -> View:
    workspace, name, is_there = services.workspace, record.name, has_folder(services, record.name)
    revisions = list_revisions(services.stack(), name) if record.is_deployed else ()
    kept = frozenset(one.revision for one in revisions if find_snapshot(workspace, name, number=one.revision))
    choice = choice or _choose(revisions, has_folder=is_there)
    if choice is None:
        return View(revisions, kept, is_there)
    try:
        comparison = compare_revisions(workspace, name, before=choice.before, after=choice.after)
    except StackError as error:
        return View(revisions, kept, is_there, choice, problem=str(error))
    return View(revisions, kept, is_there, choice, comparison)


def _choose(revisions: tuple[Revision, ...], *, has_folder: bool) -> Choice | None:
    """Compare at first what runs with the folder, which says what the next deploy would change."""
    return Choice(revisions[0].revision, FOLDER_NUMBER) if revisions and has_folder else None
