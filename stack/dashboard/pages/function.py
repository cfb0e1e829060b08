"""One function: the frame that its tabs share, and what its head lets a person do with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document, parse_model
from stack.config.source import FOLDER, find_folder
from stack.dashboard.live import Fragment, Known
from stack.dashboard.page import render
from stack.dashboard.security.auth import user_of
from stack.dashboard.services import Services, find_troubles, services_of
from stack.errors import ConflictError, FunctionError, StackError
from stack.plan.scale import find_limits
from stack.run.catalogue import FunctionRecord
from stack.run.files import set_disabled
from stack.run.function_status import BUILDING
from stack.run.import_export import make_export
from stack.run.job import Job

_PATH = "/functions/{name}"
_MOST_REPLICAS = 100
_PANEL = "deploy-panel"

Model = TypeVar("Model", bound=Document)


@dataclass(frozen=True)
class Tab:
    """A page of a function: the last part of its address, and its title."""

    path: str
    title: str


TABS = (
    Tab("code", "Code"),
    Tab("test", "Test"),
    Tab("triggers", "Triggers"),
    Tab("logs", "Logs"),
    Tab("metrics", "Metrics"),
    Tab("dead-letters", "Dead letters"),
    Tab("revisions", "Revisions"),
)


class Reason(Document):
    """Why a function is deployed."""

    message: str = Field("", max_length=200)


class Target(Document):
    """The revision to go back to; 0 is the one before what runs."""

    number: int = Field(0, ge=0)


class Size(Document):
    """How many containers there are to be."""

    replicas: int = Field(ge=0, le=_MOST_REPLICAS)


class Switch(Document):
    """Whether a function is to have no container."""

    disable: bool


class Deletion(Document):
    """What of a function goes; its folder too, or all but that."""

    keep_folder: bool = False


def routes() -> list[BaseRoute]:
    """Return the routes of the frame."""
    return [
        Route(_PATH, lead_to_code),
        Route(f"{_PATH}/export", export_function),
        Route(f"{_PATH}/deploy", deploy_function, methods=["POST"]),
        Route(f"{_PATH}/roll-back", roll_back_function, methods=["POST"]),
        Route(f"{_PATH}/scale", ask_for_scale),
        Route(f"{_PATH}/scale", scale_function, methods=["POST"]),
        Route(f"{_PATH}/switch", switch_function, methods=["POST"]),
        Route(f"{_PATH}/delete", ask_to_delete),
        Route(f"{_PATH}/delete", delete_function, methods=["POST"]),
    ]


async def render_tab(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a tab of the function that the address names; its template extends function.html.

    Raises:
        HTTPException: there is no such function.
    """
    record, services = await find_record(request), services_of(request)
    here = request.url.path.split("/")[3]
    tab = next(tab for tab in TABS if tab.path == here)
    troubles = await find_troubles(services, record)
    last = record.attempts[-1] if record.attempts else None
    known = last.begin.time / 1000 if last and last.end else ""
    frame = _describe_head(services, record) | {"troubles": troubles, "tabs": TABS, "tab": tab, "known_deploy": known}
    return render(request, template, status=status, **frame, **context)


def _describe_head(services: Services, record: FunctionRecord) -> dict[str, Any]:
    return {
        "function": record,
        "has_folder": has_folder(services, record.name),
        "limits": find_limits(record.config.spec),
    }


HEAD = Fragment(
    "function-head:",
    "_function_head.html",
    ("functions",),
    lambda services, name, _: _describe_head(services, services.catalogue.find(name)),
)


def _describe_deploy(services: Services, name: str, known: Known) -> Mapping[str, Any]:
    return {"deploy": known["deploy:"], "function": services.catalogue.find(name)}


DEPLOY = Fragment(f"{_PANEL}:", "_deploy_panel.html", ("deploy:", "functions"), _describe_deploy)


async def find_record(request: Request) -> FunctionRecord:
    """Return what is known of the function that the address names.

    Raises:
        HTTPException: there is no such function.
    """
    try:
        return await run_in_threadpool(_find, services_of(request), request.path_params["name"])
    except FunctionError as error:
        raise HTTPException(404, str(error)) from error


def has_folder(services: Services, name: str) -> bool:
    """Return whether a function has a folder; what runs may have lost it."""
    return (services.workspace.root / FOLDER / name).is_dir()


def author_of(request: Request) -> str:
    """Return who is to be named as the one who deploys: who is logged in, or the dashboard where no one has to be."""
    return user_of(request) or "dashboard"


async def lead_to_code(request: Request) -> Response:
    """Lead to the first tab."""
    record = await find_record(request)
    return RedirectResponse(f"/functions/{record.name}/{TABS[0].path}", 303)


async def export_function(request: Request) -> Response:
    """Send the function as one YAML that Nuclio's own tools accept."""
    record = await find_record(request)
    text = await run_in_threadpool(_export, services_of(request), record.name)
    headers = {"Content-Disposition": f'attachment; filename="{record.name}.yaml"'}
    return Response(text, media_type="application/yaml", headers=headers)


async def deploy_function(request: Request) -> Response:
    """Begin to deploy the function; its log tells the rest."""
    record, wanted = await find_free_record(request), await read_form(request, Reason)
    await services_of(request).jobs.deploy(record.name, message=wanted.message, author=author_of(request))
    return _follow(request, record)


async def roll_back_function(request: Request) -> Response:
    """Begin to go back to an older revision; its log tells the rest."""
    record, wanted = await find_free_record(request), await read_form(request, Target)
    await services_of(request).jobs.roll_back(record.name, wanted.number, author=author_of(request))
    return _follow(request, record)


async def switch_function(request: Request) -> Response:
    """Write into the function's configuration that it is to have no container, or the reverse, and deploy it so."""
    services = services_of(request)
    record, wanted = await find_free_record(request), await read_form(request, Switch)
    await run_in_threadpool(set_disabled, services.workspace, record.name, is_disabled=wanted.disable)
    services.catalogue.forget()
    message = "disabled" if wanted.disable else "enabled"
    await services.jobs.deploy(record.name, message=message, author=author_of(request))
    return _follow(request, record)


async def ask_for_scale(request: Request) -> Response:
    """Show the form that asks how many containers there are to be."""
    return render(request, "_scale_function.html", **_describe_head(services_of(request), await find_record(request)))


async def scale_function(request: Request) -> Response:
    """Have so many containers run; the page stays, with what is typed there, and its head shows them."""
    record, wanted = await find_free_record(request), await read_form(request, Size)
    await finish(await services_of(request).jobs.scale(record.name, wanted.replicas, author=author_of(request)))
    containers = "1 container" if wanted.replicas == 1 else f"{wanted.replicas} containers"
    return add_toast(Response(status_code=204), f"{record.name} has {containers} now.", level="ok")


async def ask_to_delete(request: Request) -> Response:
    """Show what goes when the function is deleted."""
    return render(request, "_delete_function.html", **_describe_head(services_of(request), await find_record(request)))


async def delete_function(request: Request) -> Response:
    """Remove the function, its folder too unless that is to stay."""
    record, wanted = await find_free_record(request), await read_form(request, Deletion)
    jobs = services_of(request).jobs
    remove = jobs.delete if wanted.keep_folder else jobs.remove
    await finish(await remove(record.name, author=author_of(request)))
    return Response(headers={"HX-Refresh": "true"} if wanted.keep_folder else {"HX-Redirect": "/functions"})


# A text of a megabyte, which a browser may send as three times as many bytes.
MOST_FORM_BYTES = 4_000_000


async def load_form(request: Request, most_bytes: int) -> FormData:
    """Return a form, whose fields may each be as large as all of it.

    Raises:
        HTTPException: it is larger than so many bytes, or does not say how large it is.
    """
    length = request.headers.get("content-length", "" if "transfer-encoding" in request.headers else "0")
    if not length.isdecimal() or int(length) > most_bytes:
        raise HTTPException(413, f"More than {most_bytes // 1_000_000} MB at once are not taken here.")
    return await request.form(max_part_size=most_bytes)


async def read_form(request: Request, model: type[Model]) -> Model:
    """Return what a form says, as far as the model knows its fields.

    Raises:
        ConfigError: something in it is wrong.
    """
    form = await load_form(request, MOST_FORM_BYTES)
    return parse_model(model, {name: form[name] for name in model.model_fields if name in form}, name="form")


def add_toast(answer: Response, text: str, *, level: str = "info") -> Response:
    """Have the page say something in its corner."""
    answer.headers["HX-Trigger"] = json.dumps({"toast": {"text": text, "level": level}})
    return answer


async def find_free_record(request: Request) -> FunctionRecord:
    """Return what is known of the function, which is not being deployed.

    Raises:
        ConflictError: it is.
        HTTPException: there is no such function.
    """
    record = await find_record(request)
    if record.state == BUILDING:
        raise ConflictError(f"{record.name} is being deployed; try again when that has ended.")
    return record


async def finish(job: Job) -> None:
    """Wait until a job is done.

    Raises:
        StackError: it failed; the message says why.
    """
    if why := await job.wait():
        raise StackError(why)


def _follow(request: Request, record: FunctionRecord) -> Response:
    """Answer that a deploy has been ordered: by the panel of its log, where the page has one."""
    services_of(request).broadcaster.touch(f"deploy:{record.name}")
    if request.headers.get("hx-target") != _PANEL:
        return add_toast(Response(status_code=204), f"Deploying {record.name}.")
    return render(request, "_deploy_panel.html", deploy=None, function=record)


def _find(services: Services, name: str) -> FunctionRecord:
    """Find a function, perhaps one that somebody has made this moment."""
    if not any(one.name == name for one in services.catalogue.records()):
        services.catalogue.forget()
    return services.catalogue.find(name)


def _export(services: Services, name: str) -> str:
    """Return the YAML; what it leaves out, such as passwords, is told at its head."""
    exported = make_export(find_folder(services.workspace.root, name), services.stack().settings)
    notes = "".join(f"# {note}.\n" for note in exported.notes)
    return notes + yaml.safe_dump(exported.document, sort_keys=False, allow_unicode=True, width=120)
