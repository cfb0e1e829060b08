"""Projects as one document, with all that is in them; and back."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from stack.config.function_event import FunctionEvent
from stack.config.project import Project
from stack.dashboard.api.body import parse_document
from stack.dashboard.api.function_events import describe_event
from stack.dashboard.api.function_object import export_object
from stack.dashboard.api.function_wish import find_record, keep_wish, read_wish
from stack.dashboard.desk import Desk
from stack.errors import StackError
from stack.run.catalogue.project import list_projects, save_project
from stack.run.catalogue.saved_event import list_events, save_event

_AUTHOR, _REASON = "dashboard", "imported with its project"
# Why something was not imported, by its name.
Failures = dict[str, str]


def export_project(desk: Desk, project: Project) -> dict[str, Any]:
    """Return a project with its functions and their events, as Nuclio exports it; a function that is wrong is left out.

    Raises:
        ConfigError: stack.yaml is wrong.
        FunctionError: a function is too large for a document, or only this machine has its code.
    """
    settings = desk.stack().settings
    name = project.metadata.name
    own = [one for one in desk.catalogue.records() if one.project == name and not one.problem]
    names = {one.name for one in own}
    events = {key: one for key, one in list_events(desk.workspace).items() if one.function in names}
    return {
        "project": {"metadata": _write(project.metadata), "spec": _write(project.spec)},
        "functions": {one.name: export_object(desk.workspace, one, settings) for one in own},
        "functionEvents": {key: describe_event(one) for key, one in events.items()},
        "apiGateways": {},
    }


async def import_project(desk: Desk, document: dict[str, Any]) -> dict[str, Any]:
    """Take in what `export_project` returns; return Nuclio's account of what became of it.

    What is there already is left as it is, and counts as failed; events are given names of their own.

    Raises:
        HTTPException: something that it must have is missing.
        ConfigError: the project itself is wrong.
    """
    functions, events, gateways = (_read(document, key) for key in ("functions", "functionEvents", "apiGateways"))
    project = parse_document(Project, _read(document, "project"), "project")
    name = project.metadata.name
    if name not in await run_in_threadpool(list_projects, desk.workspace):
        await run_in_threadpool(save_project, desk.workspace, project)
    lost = await _attempt_all(functions, lambda one: _import_function(desk, one, name))
    lost_events = await _attempt_all(events, lambda one: _import_event(desk, one, lost))
    refused = dict.fromkeys(gateways, "API gateways are not supported on Docker")
    return {
        "functionImportResult": _account(functions, lost, "function", "failedFunctions"),
        "functionEventImportResult": _account(events, lost_events, "functionEvent", "failedFunctionEvents"),
        "apiGatewayImportResult": _account(gateways, refused, "apiGateway", "failedAPIGateways"),
    }


async def _import_function(desk: Desk, given: dict[str, Any], project: str) -> None:
    wish = read_wish(given, project)
    async with desk.jobs.turn:
        if await find_record(desk, wish.name):
            raise HTTPException(409, f"Cannot create two functions with the same name: {wish.name}")
        await keep_wish(desk, wish, None)
        if not wish.is_import:
            await desk.jobs.deploy(wish.name, message=_REASON, author=_AUTHOR)


async def _import_event(desk: Desk, given: dict[str, Any], lost: Failures) -> None:
    event = parse_document(FunctionEvent, given, "event")
    if event.function in lost:
        raise HTTPException(400, f"its function {event.function} was not imported")
    nameless = event.model_copy(update={"metadata": event.metadata.model_copy(update={"name": ""})})
    await run_in_threadpool(save_event, desk.workspace, nameless)


async def _attempt_all(given: Mapping[str, Any], take: Callable[[dict[str, Any]], Awaitable[None]]) -> Failures:
    """Take in one after the other; return why some could not be."""
    failures: Failures = {}
    for name, one in given.items():
        try:
            if not isinstance(one, dict):
                raise HTTPException(400, f"should be an object, not {one!r:.60}")
            await take(one)
        except (HTTPException, StackError) as error:
            failures[name] = error.detail if isinstance(error, HTTPException) else str(error)
    return failures


def _write(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(by_alias=True, exclude_defaults=True)


def _account(given: Mapping[str, Any], failures: Failures, noun: str, key: str) -> dict[str, Any]:
    listed = [{noun: name, "error": reason} for name, reason in failures.items()]
    return {"createdAmount": len(given) - len(failures), "failedAmount": len(failures), key: listed}


def _read(document: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a part of an export; Nuclio's keys count whatever their case.

    Raises:
        HTTPException: 400, it is no object.
    """
    value = next((one for name, one in document.items() if name.lower() == key.lower()), None)
    if value is not None and not isinstance(value, dict):
        raise HTTPException(400, f"{key} should be an object.")
    return value or {}
