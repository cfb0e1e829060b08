"""The tab of a function's triggers: a form and YAML, both of the one function.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.inline import is_source_alone
from stack.config.problem import Problem
from stack.config.source import FILE, FOLDER
from stack.config.trigger.registry import MODELS
from stack.config.yaml_loader import find_line
from stack.contract import KINDS
from stack.dashboard.form import trigger as form
from stack.dashboard.form.field import Sent
from stack.dashboard.page import render
from stack.dashboard.pages.function import MOST_FORM_BYTES, add_toast, find_record, load_form, render_tab
from stack.dashboard.services import Services, services_of
from stack.errors import ConfigError, FunctionError, StackError
from stack.plan.key_hint import Publisher, find_key_hints
from stack.run.files import digest_content, read_function_file, write_function_file
from stack.state.workspace import Workspace

_PATH = "/functions/{name}/triggers"
_FORM, _YAML = "form", "yaml"


@dataclass(frozen=True)
class Sheet:
    """What the tab shows: the text of function.yaml, perhaps changed, and the digest of the file that it was."""

    text: str
    known: str
    view: str = _FORM
    cards: tuple[form.Card, ...] = ()
    rest: tuple[str, ...] = ()
    """What is wrong elsewhere than in a field."""
    marks: tuple[dict[str, Any], ...] = ()
    """What is wrong, by the lines of the text."""
    failure: str = ""

    @property
    def is_changed(self) -> bool:
        """Return whether the text is another than the file's."""
        return digest_content(self.text.encode()) != self.known


@dataclass(frozen=True)
class Taken:
    """What a form has sent, written into the text."""

    text: str
    known: str
    view: str
    problems: tuple[Problem, ...]
    sent: Sent | None = None


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(_PATH, show_tab),
        Route(_PATH, edit, methods=["POST"]),
        Route(f"{_PATH}/check", check, methods=["POST"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    await find_record(request)
    name, workspace = request.path_params["name"], services_of(request).workspace
    folder = workspace.root / FOLDER / name
    sheet = await run_in_threadpool(_open, workspace, name) if (folder / FILE).is_file() else None
    has_source = sheet is None and folder.is_dir() and is_source_alone(folder)
    hints = await run_in_threadpool(_find_hints, services_of(request), name)
    shown = {"name": name, "sheet": sheet, "has_source": has_source, "kinds": list(KINDS), "hints": hints}
    return await render_tab(request, "triggers.html", **shown)


async def edit(request: Request) -> Response:
    """Do what a button of the form stands for; nothing is written before `save`."""
    name, sent = request.path_params["name"], await load_form(request, MOST_FORM_BYTES)
    action, _, subject = str(sent.get("action", _FORM)).partition(":")
    taken = _take(sent)
    if action == "save":
        return await _save(request, name, taken=taken)
    return _render(request, name, sheet=_act(taken, action, subject=subject))


async def check(request: Request) -> Response:
    """Show the form as it is now, with all that is wrong."""
    return _render(request, request.path_params["name"], sheet=_judge(_take(await load_form(request, MOST_FORM_BYTES))))


async def _save(request: Request, name: str, *, taken: Taken) -> Response:
    sheet = _judge(taken)
    if sheet.failure or sheet.marks:
        answer = _render(request, name, sheet=sheet, status=422)
        return add_toast(answer, "Nothing is saved yet: see what is wrong.", level="error")
    try:
        known = await run_in_threadpool(_write, services_of(request).workspace, name, sheet)
    except StackError as error:
        failed = Sheet(sheet.text, sheet.known, sheet.view, sheet.cards, failure=str(error))
        return _render(request, name, sheet=failed, status=422)
    services_of(request).catalogue.forget()
    saved = Sheet(sheet.text, known, sheet.view, sheet.cards)
    hints = await run_in_threadpool(_find_hints, services_of(request), name)
    return add_toast(_render(request, name, sheet=saved, hints=hints), f"Saved in {FOLDER}/{name}/{FILE}.", level="ok")


def _open(workspace: Workspace, name: str) -> Sheet:
    """Return what is shown at first."""
    try:
        file = read_function_file(workspace, name, FILE)
    except FunctionError as error:
        return Sheet("", "", failure=str(error))
    taken = Taken(file.text, file.digest, _FORM, ())
    try:
        return _show(taken)
    except ConfigError:
        return _judge(Taken(file.text, file.digest, _YAML, ()))


def _write(workspace: Workspace, name: str, sheet: Sheet) -> str:
    return write_function_file(workspace, name, FILE, sheet.text.encode(), known=sheet.known)


def _take(data: FormData) -> Taken:
    sent: Sent = {key: [str(one) for one in data.getlist(key)] for key in data}
    # A browser ends the lines of a text area as HTTP does.
    text = sent.get("text", [""])[0].replace("\r\n", "\n")
    known, view = (sent.get(key, [""])[0] for key in ("known", "view"))
    if view == _YAML:
        return Taken(text, known, _YAML, ())
    try:
        result = form.apply_form(text, sent)
    except ConfigError:
        return Taken(text, known, _YAML, ())
    return Taken(result.text, known, _FORM, result.problems, sent)


def _act(taken: Taken, action: str, *, subject: str) -> Sheet:
    """Return what is shown after a button was pressed."""
    text, view = taken.text, taken.view
    try:
        if action == "add" and subject in MODELS:
            text = form.add_trigger(text, subject)
        elif action == "remove":
            text = form.remove_trigger(text, subject)
        elif action == "toggle":
            text = form.toggle_trigger(text, subject)
        elif action in (_FORM, _YAML):
            view = action
        return _show(Taken(text, taken.known, view, taken.problems, taken.sent))
    except ConfigError:
        return _judge(Taken(text, taken.known, _YAML, ()))


def _show(taken: Taken) -> Sheet:
    """Return a sheet that says nothing of what is wrong but what could not be taken over.

    Raises:
        ConfigError: the text is no YAML.
    """
    cards = form.lay_out(taken.text, taken.problems, taken.sent)
    return Sheet(taken.text, taken.known, taken.view, cards)


def _judge(taken: Taken) -> Sheet:
    """Return a sheet that says all that is wrong."""
    try:
        problems = (*taken.problems, *form.check_text(taken.text))
        cards = form.lay_out(taken.text, problems, taken.sent)
    except ConfigError as error:
        return Sheet(taken.text, taken.known, _YAML, marks=(_mark(taken.text, error),), failure=str(error))
    rest = tuple(str(one) for one in form.find_rest(cards, problems))
    return Sheet(taken.text, taken.known, taken.view, cards, rest, tuple(_find_marks(taken.text, problems)))


def _find_marks(text: str, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [{"line": find_line(text, one.path), "message": str(one), "severity": "error"} for one in problems]


def _mark(text: str, error: ConfigError) -> dict[str, Any]:
    """Return where text stops to be YAML; the reader's message names the line."""
    words = error.problems[0].partition("line ")[2].partition(",")[0]
    line = min(int(words), text.count("\n") + 1) if words.isdecimal() else 1
    return {"line": line, "message": error.problems[0], "severity": "error"}


def _render(request: Request, name: str, *, sheet: Sheet, status: int = 200, hints: Sequence[str] = ()) -> Response:
    shown = {"name": name, "sheet": sheet, "kinds": list(KINDS), "hints": hints}
    return render(request, "_triggers.html", status=status, **shown)


def _find_hints(services: Services, name: str) -> tuple[str, ...]:
    """Return what is to be told of the keys that the function binds, as its file on disk says."""
    records = services.catalogue.records()
    publishers = [
        Publisher(one.name, one.outputs, tuple(services.mentions.read_sources(one.name, one.files))) for one in records
    ]
    return tuple(hint for one in records if one.name == name for hint in find_key_hints(one, publishers))
