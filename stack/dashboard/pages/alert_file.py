"""A file of alerts/ as a form and as YAML, with what it would have done in the last week."""

from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.alert import FOLDER, SUFFIX, Alert
from stack.config.problem import Problem
from stack.dashboard.form import alert as form
from stack.dashboard.form.field import Sent
from stack.dashboard.form.trigger import Group
from stack.dashboard.page import render
from stack.dashboard.pages.data import chart_address
from stack.dashboard.pages.function import MOST_FORM_BYTES, add_toast, load_form
from stack.dashboard.services import Services, services_of
from stack.errors import AlertError, ConfigError, StackError
from stack.live.alerts import TOPIC
from stack.plan.alert_chart import write_value_query
from stack.run.alert_file import apply_alerts, parse_alert, read_alert_file, remove_alert_file, write_alert_file
from stack.run.alert_preview import Preview, look_back
from stack.victoriametrics.client import find_store

_NEW, _FILE = "/alerts/new", "/alerts/files/{name}"
_FORM, _YAML = "form", "yaml"
_DRAFT = "draft"
_WEEK, _SHOWN = 7 * 86400.0, 5
# A form asks at each change, and what is asked of the store goes on when no one waits for it any more.
_LOOKING = Lock()


@dataclass(frozen=True)
class AlertSheet:
    """What is being edited: the text of a file, perhaps changed, and the digest of the file that it was."""

    name: str
    text: str
    known: str = ""
    view: str = _FORM
    problems: tuple[Problem, ...] = ()
    """What could not be taken over from the form."""
    groups: tuple[Group, ...] = ()
    rest: tuple[str, ...] = ()
    """What is wrong elsewhere than in a field."""
    is_wrong: bool = False
    is_saved: bool = False
    sent: Sent | None = None

    @property
    def is_new(self) -> bool:
        """Return whether there is no file yet."""
        return not self.known


def routes() -> list[BaseRoute]:
    """Return the routes of the editor."""
    return [
        Route(_NEW, begin_file),
        Route("/alerts/edit", edit, methods=["POST"]),
        Route("/alerts/preview", show_preview, methods=["POST"]),
        Route(_FILE, show_file),
        Route(f"{_FILE}/remove", remove_file, methods=["POST"]),
    ]


async def begin_file(request: Request) -> Response:
    """Show a form for an alert that there is not yet."""
    return render(request, "alert.html", sheet=_lay_out(AlertSheet("", ""), is_judged=False))


async def show_file(request: Request) -> Response:
    """Show a file as a form, or as YAML where it is none."""
    name = request.path_params["name"]
    try:
        file = await run_in_threadpool(read_alert_file, services_of(request).workspace, name)
    except AlertError as error:
        raise HTTPException(404, str(error)) from error
    return render(request, "alert.html", sheet=_lay_out(AlertSheet(name, file.text, file.digest)))


async def edit(request: Request) -> Response:
    """Do what a button of the editor stands for; nothing is written before `save`."""
    data = await load_form(request, MOST_FORM_BYTES)
    action, sheet = str(data.get("action", "")), _take(data)
    if action == "save":
        return await _save(request, sheet)
    return _render(request, _lay_out(replace(sheet, view=action if action in (_FORM, _YAML) else sheet.view)))


async def show_preview(request: Request) -> Response:
    """Show how often an alert would have fired in the last week."""
    sheet = _take(await load_form(request, MOST_FORM_BYTES))
    try:
        alert = parse_alert(sheet.name or _DRAFT, sheet.text)
    except ConfigError:
        # What is wrong is told beside the fields.
        return render(request, "_alert_preview.html", problem="", firings=None)
    try:
        preview, address = await run_in_threadpool(_look_back, services_of(request), alert)
    except StackError as error:
        return render(request, "_alert_preview.html", problem=str(error), firings=None)
    found = preview.firings
    shown: dict[str, Any] = {"firings": found[:_SHOWN], "count": len(found), "address": address}
    series = len({tuple(sorted(one.labels.items())) for one in found})
    return render(
        request,
        "_alert_preview.html",
        problem="",
        series=series,
        minutes=preview.step // 60,
        is_unknown=preview.is_unknown,
        **shown,
    )


async def remove_file(request: Request) -> Response:
    """Remove a file; what it watched is watched no more."""
    name, services = request.path_params["name"], services_of(request)
    try:
        await run_in_threadpool(remove_alert_file, services.workspace, name)
    except AlertError as error:
        raise HTTPException(404, str(error)) from error
    level, how = await _apply(services)
    if level != "ok":
        return add_toast(Response(), f"{FOLDER}/{name}{SUFFIX} is removed. {how}", level=level)
    return Response(headers={"HX-Redirect": "/alerts"})


async def _save(request: Request, sheet: AlertSheet) -> Response:
    judged, services = _lay_out(sheet), services_of(request)
    if judged.is_wrong:
        answer = _render(request, judged, status=422)
        return add_toast(answer, "Nothing is saved yet: see what is wrong.", level="error")
    try:
        digest = await run_in_threadpool(_write, services, sheet)
    except StackError as error:
        return _render(request, replace(judged, rest=tuple(str(error).splitlines())), status=422)
    level, how = await _apply(services)
    saved = _lay_out(AlertSheet(sheet.name, sheet.text, digest, sheet.view, is_saved=True))
    answer = _render(request, saved)
    answer.headers["HX-Replace-Url"] = _FILE.format(name=sheet.name)
    return add_toast(answer, f"Saved in {FOLDER}/{sheet.name}{SUFFIX}. {how or 'It is watched now.'}", level=level)


def _write(services: Services, sheet: AlertSheet) -> str:
    return write_alert_file(services.stack(), sheet.name, text=sheet.text, known=sheet.known)


async def _apply(services: Services) -> tuple[str, str]:
    """Have what is in alerts/ watched; return of which level that is, and what is to be done if it is not."""
    try:
        is_applied = await run_in_threadpool(lambda: apply_alerts(services.stack()))
    except StackError as error:
        return "warn", f"That does not hold yet: {error}"
    services.broadcaster.touch(TOPIC)
    return "ok", "" if is_applied else "`invoke up` has it watched."


def _look_back(services: Services, alert: Alert) -> tuple[Preview, str]:
    """Return when an alert would have fired, and where the chart is of what it looks at."""
    stack = services.stack()
    data = stack.settings.data
    address = chart_address([write_value_query(alert, data)], _WEEK)
    store = find_store(stack)
    with _LOOKING:
        return look_back(store, alert, data, _WEEK), address


def _take(data: FormData) -> AlertSheet:
    """Return what a form has sent, written into the text that it was made of."""
    sent: Sent = {key: [str(one) for one in data.getlist(key)] for key in data}
    # A browser ends the lines of a text area as HTTP does.
    text = sent.get("document", [""])[0].replace("\r\n", "\n")
    name, known, view = (sent.get(key, [""])[0].strip() for key in ("name", "known", "view"))
    sheet = AlertSheet(name, text, known, _YAML)
    if view == _YAML:
        return sheet
    try:
        result = form.apply_form(text, sent)
    except ConfigError:
        return sheet
    return replace(sheet, text=result.text, view=_FORM, problems=result.problems, sent=sent)


def _lay_out(sheet: AlertSheet, *, is_judged: bool = True) -> AlertSheet:
    """Return a sheet with its fields, and with all that is wrong."""
    try:
        problems = (*sheet.problems, *form.check_text(sheet.text)) if is_judged else ()
        groups = form.lay_out(sheet.text, problems, sheet.sent)
    except ConfigError as error:
        return replace(sheet, view=_YAML, rest=error.problems, is_wrong=True)
    rest = problems if sheet.view == _YAML else form.find_rest(groups, problems)
    return replace(sheet, groups=groups, rest=tuple(map(str, rest)), is_wrong=bool(problems))


def _render(request: Request, sheet: AlertSheet, **other: Any) -> Response:
    return render(request, "_alert_sheet.html", sheet=sheet, **other)
