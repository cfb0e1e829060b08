"""The tab that tries a function: a call or a message, what comes back, and events that are kept to do it again."""

import base64
import json
import mimetypes
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import escape
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.function import FUNCTION_LABEL
from stack.config.project import EventMetadata, EventSpec, FunctionEvent
from stack.contract import HTTP, LOGS
from stack.dashboard.figures import list_views
from stack.dashboard.page import render
from stack.dashboard.pages.function import add_toast, load_form, render_tab
from stack.dashboard.services import Services, services_of
from stack.docker.stack import Stack
from stack.errors import ConflictError, FunctionError, StackError
from stack.plan.function import FunctionPlan
from stack.plan.gateway import OWN_HEADER
from stack.plan.message import QueueTarget, TestMessage, find_targets
from stack.plan.trigger.kind import TriggerKind
from stack.plan.trigger.registry import find_kind
from stack.rabbitmq.publication import put_message
from stack.run import invocation as call
from stack.run.catalogue import FunctionRecord
from stack.state.access import show_proof
from stack.state.project import list_events, remove_event, save_event
from stack.state.vault import function_signature_key

_PATH = "/functions/{name}/test"
# The most of an answer that a page is given, and of a body that a form holds, in bytes.
_SHOWN_BYTES, _MOST_BYTES = 10_000_000, 64 * 2**20
# Of a length that may be believed.
_DIGITS = 16
_NAME_LENGTH, _TITLE_LENGTH = 63, 100
_UNPROCESSABLE = 422
_STRAIGHT = "Goes straight into the trigger’s queue."  # noqa: RUF001 -- the text of a page
_TEXT, _JSON, _FILE = "text", "json", "file"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_BODILESS = ("GET", "HEAD")
_OK, _BAD = 300, 500
_BINARY = "application/octet-stream"
# What a line of Nuclio's X-Nuclio-Logs has besides what was logged with it.
_OF_LINES = frozenset({"time", "level", "name", "message", "traceback", "worker_id"})


@dataclass(frozen=True)
class CallRequest:
    """What the form says: a call over HTTP, or a message for the queue of a trigger."""

    trigger: str = ""
    """The trigger whose queue gets it; none for a call over HTTP."""
    method: str = "POST"
    path: str = ""
    address: str = ""
    """The topic or the routing key of a message."""
    headers: Sequence[tuple[str, str]] = ()
    kind: str = _JSON
    """How the body is given: text, json or file."""
    body: str = ""
    content_type: str = "application/json"
    log_level: str = "debug"
    file: bytes = b""
    event: str = ""
    """The name of the saved event that it was; none if it was never saved."""

    @property
    def content(self) -> bytes:
        """Return the body that is sent."""
        if not self.trigger and self.method in _BODILESS:
            return b""
        return self.file if self.kind == _FILE else self.body.encode()

    @property
    def problem(self) -> str:
        """Return why the body is no JSON, where it should be."""
        if self.kind == _JSON and self.body.strip():
            try:
                json.loads(self.body)
            except (ValueError, RecursionError) as error:
                return f"No JSON: {error}"
        return ""


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(_PATH, show_tab),
        Route(f"{_PATH}/form", show_form, methods=["POST"]),
        Route(f"{_PATH}/check", check_body, methods=["POST"]),
        Route(f"{_PATH}/send", send, methods=["POST"]),
        Route(f"{_PATH}/events", keep_event, methods=["POST"]),
        Route(f"{_PATH}/events/ask", ask_for_title),
        Route(f"{_PATH}/events/{{event}}/delete", drop_event, methods=["POST"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    known = await _describe(request, CallRequest())
    return await render_tab(request, "test.html", **known)


async def show_form(request: Request) -> Response:
    """Show the form for another trigger, or with what a saved event says."""
    form = await load_form(request, _MOST_BYTES)
    wanted = await _read(form)
    if "load" in form and wanted.event:
        events = await run_in_threadpool(list_events, services_of(request).workspace, request.path_params["name"])
        wanted = read_event(events[wanted.event]) if wanted.event in events else wanted
    if "retarget" in form:
        wanted = replace(wanted, address="")
    return await _show(request, wanted)


async def check_body(request: Request) -> Response:
    """Say what is wrong with the body."""
    wanted = await _read(await load_form(request, _MOST_BYTES))
    return HTMLResponse(escape(wanted.problem))


async def send(request: Request) -> Response:
    """Call the function over HTTP, or put a message into the queue of one of its triggers; show what follows."""
    form = await load_form(request, _MOST_BYTES)
    wanted = await _read(form)
    begun = time.time()
    try:
        if wanted.kind == _FILE and not getattr(form.get("file"), "filename", ""):
            raise FunctionError("No file is chosen: choose the one that is sent as the body.")
        if wanted.trigger:
            await run_in_threadpool(_put, services_of(request).stack(), request.path_params["name"], wanted)
            return render(request, "_test_message.html", since=begun)
        answer = await run_in_threadpool(_call, services_of(request), request.path_params["name"], wanted)
    except StackError as error:
        return render(request, "_test_problem.html", status=_UNPROCESSABLE, message=str(error))
    name = request.path_params["name"]
    return render(request, "_test_answer.html", **await run_in_threadpool(describe_answer, name, answer, wanted))


async def ask_for_title(request: Request) -> Response:
    """Ask under which name an event is to be kept."""
    name, query = request.path_params["name"], request.query_params
    events = await run_in_threadpool(list_events, services_of(request).workspace, name)
    event = events.get(query.get("event", ""))
    return render(request, "_test_event.html", name=name, event=event, what=query.get("what", ""))


async def keep_event(request: Request) -> Response:
    """Keep what the form says as an event, or give one another name."""
    form = await load_form(request, _MOST_BYTES)
    wanted, title = await _read(form), str(form.get("title", "")).strip()
    services, name = services_of(request), request.path_params["name"]
    saved = await run_in_threadpool(_rename if "rename" in form else _keep, services, name, wanted, title)
    answer = await _show(request, replace(wanted, event=saved.metadata.name))
    return add_toast(answer, f"Saved as “{saved.spec.display_name}”.", level="ok")


async def drop_event(request: Request) -> Response:
    """Forget an event."""
    await run_in_threadpool(remove_event, services_of(request).workspace, request.path_params["event"])
    return await _show(request, replace(await _read(await load_form(request, _MOST_BYTES)), event=""))


async def _read(form: FormData) -> CallRequest:
    """Return what the form says; a browser ends the lines of a text area as HTTP does."""
    values = {key: str(value) for key, value in form.items() if not isinstance(value, UploadFile)}
    pairs = zip(map(str, form.getlist("header-name")), map(str, form.getlist("header-value")), strict=False)
    file, kind = form.get("file"), values.get("kind", _JSON)
    file = file if kind == _FILE and isinstance(file, UploadFile) and file.filename else None
    content_type = values.get("content_type", "").strip()
    return CallRequest(
        trigger=values.get("trigger", ""),
        method=values.get("method", "POST"),
        path=values.get("path", ""),
        address=values.get("address", ""),
        headers=[(name.strip(), value.strip()) for name, value in pairs if name.strip()],
        kind=kind if kind in (_JSON, _FILE) else _TEXT,
        body=values.get("body", "").replace("\r\n", "\n"),
        content_type=content_type or ((file.content_type or _BINARY) if file else ""),
        log_level=values.get("log_level", ""),
        file=await file.read() if file else b"",
        event=values.get("event", ""),
    )


async def _show(request: Request, wanted: CallRequest) -> HTMLResponse:
    return render(request, "_test_form.html", **await _describe(request, wanted))


async def _describe(request: Request, wanted: CallRequest) -> dict[str, Any]:
    """Return what the form's template is to know."""
    name = request.path_params["name"]
    known = await run_in_threadpool(_look, services_of(request), name)
    ways = known["ways"]
    first = ways[0] if ways else {"trigger": "", "kind": HTTP}
    way = next((one for one in ways if one["trigger"] == wanted.trigger), first)
    if way["trigger"] != wanted.trigger:
        wanted = replace(wanted, trigger=way["trigger"])
    if not wanted.address:
        wanted = replace(wanted, address=way.get("address", ""))
    return {"name": name, "wanted": wanted, "way": way, "levels": call.LEVELS, "methods": _METHODS, **known}


def _look(services: Services, name: str) -> dict[str, Any]:
    plan = _find_plan(services.stack(), name)
    kinds = {trigger: find_kind(one) for trigger, one in plan.triggers.items()} if plan else {}
    ways = [{"trigger": "", "kind": HTTP} for kind in kinds.values() if kind.has_port]
    targets = find_targets(plan) if plan else ()
    ways += [_describe_target(one, kinds[one.trigger]) for one in targets]
    queued = {one.trigger for one in targets}
    events = [(event.spec.display_name or key, key) for key, event in list_events(services.workspace, name).items()]
    return {
        "is_readable": plan is not None,
        "ways": ways,
        "clocks": [trigger for trigger, kind in kinds.items() if not kind.has_port and not kind.has_broker],
        "elsewhere": [trigger for trigger, kind in kinds.items() if kind.has_broker and trigger not in queued],
        "events": sorted(events),
    }


def _describe_target(target: QueueTarget, kind: TriggerKind[Any]) -> dict[str, str]:
    hint = kind.test_hint.format(exchange=target.exchange) if target.exchange else _STRAIGHT
    return {
        "trigger": target.trigger,
        "kind": target.kind,
        "address": target.address,
        "address_name": kind.address_name,
        "hint": hint,
        "exchange": target.exchange,
    }


def _find_plan(stack: Stack, name: str) -> FunctionPlan | None:
    return next((service.plan for service in stack.inputs.services if service.plan.name == name), None)


def _find_url(record: FunctionRecord) -> str:
    """Return the address that is called.

    Raises:
        FunctionError: there is nothing to call.
    """
    if not record.is_deployed:
        raise FunctionError(f"{record.name} is not deployed. Deploy it, then send this again.")
    if record.config.spec.disable:
        raise FunctionError(f"{record.name} is disabled: its function.yaml says `disable: true`.")
    url = call.find_call_url(record.name, record.url)
    if not url:
        raise FunctionError(f"{record.name} publishes no port, so that only the stack's own services reach it.")
    return url


def _call(services: Services, name: str, wanted: CallRequest) -> call.Answer:
    record = services.catalogue.find(name)
    has_type = bool(wanted.content_type) and wanted.method not in _BODILESS
    headers = ({"Content-Type": wanted.content_type} if has_type else {}) | dict(wanted.headers)
    if record.url:
        headers |= {OWN_HEADER: show_proof(services.workspace)}
    key = function_signature_key(services.workspace, record.name)
    outgoing = call.Request(
        wanted.path, wanted.method, headers, wanted.content, wanted.log_level, most_bytes=_SHOWN_BYTES + 1, key=key
    )
    return call.call_function(record.name, _find_url(record), outgoing)


def describe_answer(name: str, answer: call.Answer, wanted: CallRequest) -> dict[str, Any]:
    """Return what the page is told of an answer: its body in each way in which it can be shown, as text always."""
    body, size = answer.body[:_SHOWN_BYTES], _find_size(answer)
    types = [value for header, value in answer.headers if header.lower() == "content-type"]
    suffix = mimetypes.guess_extension(types[0].partition(";")[0].strip()) if types else None
    return {
        "answer": answer,
        "level": "ok" if answer.status < _OK else "warn" if answer.status < _BAD else "error",
        "size": size,
        "kept": len(body),
        "views": list_views(body),
        # As bytes and not by its own type: a page of a function must never become a page of the dashboard.
        "download": f"data:{_BINARY};base64,{base64.b64encode(body).decode()}",
        "file_name": f"{name}{suffix or '.bin'}",
        "headers": [pair for pair in answer.headers if pair[0].lower() != LOGS],
        "is_logged": bool(wanted.log_level),
        "lines": [describe_line(one) for one in answer.logs or ()],
    }


def describe_line(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page is told of a line of an event's log."""
    rest = {key: value for key, value in record.items() if key not in _OF_LINES}
    fields = f" {json.dumps(rest, ensure_ascii=False, separators=(',', ':'))}" if rest else ""
    traceback = f"\n{str(record['traceback']).rstrip()}" if record.get("traceback") else ""
    # JSON may hold half of a surrogate pair, which no page can.
    text = f"{record.get('message', '')}{fields}{traceback}".encode(errors="replace").decode()
    return {"time": float(record.get("time") or 0) / 1000, "level": record.get("level", ""), "text": text}


def _find_size(answer: call.Answer) -> int:
    """Return how long a body is: as its header says, or more than is shown where it goes on without saying."""
    declared = next((value for name, value in answer.headers if name.lower() == "content-length"), "")
    return max(len(answer.body), int(declared) if declared.isdecimal() and len(declared) < _DIGITS else 0)


def _put(stack: Stack, name: str, wanted: CallRequest) -> None:
    plan = _find_plan(stack, name)
    targets = {one.trigger: one for one in find_targets(plan)} if plan else {}
    if wanted.trigger not in targets:
        raise FunctionError(f"{name} has no trigger {wanted.trigger!r} on the stack's broker.")
    target = targets[wanted.trigger]
    message = TestMessage(wanted.address or target.address, wanted.content, dict(wanted.headers), wanted.content_type)
    put_message(stack, name, target=target, trial=message)


def read_event(event: FunctionEvent) -> CallRequest:
    """Return what the form says for a saved event."""
    spec = event.spec
    attributes = {key.lower(): value for key, value in spec.attributes.items()}
    given = attributes.get("headers")
    headers = {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}
    content_type = next((value for key, value in headers.items() if key.lower() == "content-type"), "")
    path, is_http = str(attributes.get("path", "")), spec.trigger_kind == HTTP
    return CallRequest(
        trigger="" if is_http else spec.trigger_name,
        method=str(attributes.get("method") or "POST").upper(),
        path=path if is_http else "",
        address="" if is_http else path,
        headers=[(key, value) for key, value in headers.items() if key.lower() != "content-type"],
        kind=_JSON if "json" in content_type else _TEXT,
        body=spec.body,
        content_type=content_type,
        event=event.metadata.name,
    )


def _keep(services: Services, function: str, wanted: CallRequest, title: str) -> FunctionEvent:
    if wanted.kind == _FILE:
        raise FunctionError("A file cannot be kept with an event: choose Text or JSON.")
    ways = {one["trigger"]: one["kind"] for one in _look(services, function)["ways"]}
    type_header = {"Content-Type": wanted.content_type} if wanted.content_type else {}
    path = {"path": wanted.address} if wanted.trigger else {"method": wanted.method, "path": wanted.path}
    spec = {
        "triggerName": wanted.trigger,
        "triggerKind": ways.get(wanted.trigger, HTTP),
        "body": wanted.body,
        "attributes": {**path, "headers": type_header | dict(wanted.headers)},
    }
    # Without a name of its own it goes on under that of the event that it was.
    return _save(services, function, spec=spec, title=title, replaces="" if title else wanted.event)


def _rename(services: Services, function: str, wanted: CallRequest, title: str) -> FunctionEvent:
    known = list_events(services.workspace, function)
    if wanted.event not in known:
        raise FunctionError("This event is gone; load the page again.")
    spec = known[wanted.event].spec.model_dump(by_alias=True)
    return _save(services, function, spec=spec, title=title, replaces=wanted.event)


def _save(services: Services, function: str, *, spec: Mapping[str, Any], title: str, replaces: str) -> FunctionEvent:
    known = list_events(services.workspace)
    own = {name: event.spec.display_name for name, event in known.items() if event.function == function}
    title = title or own.get(replaces, "") or replaces
    if not 0 < len(title) <= _TITLE_LENGTH:
        raise FunctionError(f"An event needs a name, of at most {_TITLE_LENGTH} characters.")
    if title in (other for name, other in own.items() if name != replaces):
        raise ConflictError(f"There is an event {title!r} already; choose another name, or save over it.")
    name = replaces if replaces in own else choose_name(function, title, taken=set(known))
    metadata = EventMetadata(name=name, labels={FUNCTION_LABEL: function})
    event = FunctionEvent(metadata=metadata, spec=EventSpec.model_validate({**spec, "displayName": title}))
    return save_event(services.workspace, event)


def choose_name(function: str, title: str, *, taken: set[str]) -> str:
    """Return a name for an event's file that no event of any function has: names count for all functions together."""
    word = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "event"
    stem = f"{function}-{word}"[: _NAME_LENGTH - 4].strip("-")
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (stem, *numbered) if name not in taken)
