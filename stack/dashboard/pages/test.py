"""The tab that tries a function: a call or a message, what comes back, and events that are kept to do it again."""

import base64
import re
from typing import Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.config.function import FUNCTION_LABEL
from stack.config.project import EventMetadata, EventSpec, FunctionEvent
from stack.contract import HTTP, LOGS
from stack.dashboard.api.request import read_model
from stack.dashboard.pages.function import render_tab
from stack.dashboard.services import Services, services_of
from stack.docker.stack import Stack
from stack.errors import ConflictError, FunctionError
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
# The most of an answer that a page is given, in bytes.
_SHOWN_BYTES = 10_000_000
# Of a length that may be believed.
_DIGITS = 16
_NAME_LENGTH = 63
_STRAIGHT = "Goes straight into the trigger’s queue."  # noqa: RUF001 -- the text of a page


class CallWish(Document):
    """What the page wants to have sent; the body is base64."""

    trigger: str = ""
    """The trigger whose queue gets it; none for a call over HTTP."""
    method: str = ""
    path: str = ""
    headers: dict[str, str] = Field({})
    body: str = ""
    content_type: str = ""
    log_level: str = ""


class EventWish(Document):
    """An event that is to be kept under a name, perhaps in the place of another."""

    title: str = Field(min_length=1, max_length=100)
    replaces: str = ""
    trigger_name: str = ""
    trigger_kind: str = HTTP
    body: str = ""
    attributes: dict[str, Any] = Field({})


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(_PATH, show_tab),
        Route(f"{_PATH}/call", send_call, methods=["POST"]),
        Route(f"{_PATH}/message", send_message, methods=["POST"]),
        Route(f"{_PATH}/events", keep_event, methods=["POST"]),
        Route(f"{_PATH}/events/{{event}}", drop_event, methods=["DELETE"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    services, name = services_of(request), request.path_params["name"]
    found = await run_in_threadpool(_describe, services, name)
    return await render_tab(request, "test.html", name=name, levels=call.LEVELS, **found)


async def send_call(request: Request) -> Response:
    """Call the function over HTTP."""
    wanted = await read_model(request, CallWish)
    record = await run_in_threadpool(services_of(request).catalogue.find, request.path_params["name"])
    headers = ({"Content-Type": wanted.content_type} if wanted.content_type else {}) | wanted.headers
    key = await run_in_threadpool(function_signature_key, services_of(request).workspace, record.name)
    if record.url:
        headers |= {OWN_HEADER: await run_in_threadpool(show_proof, services_of(request).workspace)}
    outgoing = call.Request(
        wanted.path,
        wanted.method,
        headers,
        _decode(wanted.body),
        wanted.log_level,
        most_bytes=_SHOWN_BYTES + 1,
        key=key,
    )
    answer = await run_in_threadpool(call.call_function, record.name, _find_url(record), outgoing)
    return JSONResponse(
        {
            "status": answer.status,
            "reason": answer.reason,
            "seconds": answer.seconds,
            "headers": [pair for pair in answer.headers if pair[0].lower() != LOGS],
            "body": base64.b64encode(answer.body[:_SHOWN_BYTES]).decode(),
            "size": _find_size(answer),
            "logs": answer.logs,
        }
    )


def _find_size(answer: call.Answer) -> int:
    """Return how long a body is: as its header says, or more than is shown where it goes on without saying."""
    declared = next((value for name, value in answer.headers if name.lower() == "content-length"), "")
    return max(len(answer.body), int(declared) if declared.isdecimal() and len(declared) < _DIGITS else 0)


async def send_message(request: Request) -> Response:
    """Put a message into the queue of one of the function's triggers."""
    wanted, stack = await read_model(request, CallWish), services_of(request).stack()
    await run_in_threadpool(_put, stack, request.path_params["name"], wanted)
    return JSONResponse({"sent": True})


async def keep_event(request: Request) -> Response:
    """Keep an event."""
    wanted = await read_model(request, EventWish)
    saved = await run_in_threadpool(_keep, services_of(request), request.path_params["name"], wanted)
    return JSONResponse(_tell_event(saved), 201)


async def drop_event(request: Request) -> Response:
    """Forget an event."""
    await run_in_threadpool(remove_event, services_of(request).workspace, request.path_params["event"])
    return Response(status_code=204)


def _describe(services: Services, name: str) -> dict[str, Any]:
    plan = _find_plan(services.stack(), name)
    kinds = {trigger: find_kind(one) for trigger, one in plan.triggers.items()} if plan else {}
    ways = [{"trigger": "", "kind": HTTP} for kind in kinds.values() if kind.has_port]
    targets = find_targets(plan) if plan else ()
    ways += [_describe_target(one, kinds[one.trigger]) for one in targets]
    queued = {one.trigger for one in targets}
    return {
        "is_readable": plan is not None,
        "ways": ways,
        "clocks": [trigger for trigger, kind in kinds.items() if not kind.has_port and not kind.has_broker],
        "elsewhere": [trigger for trigger, kind in kinds.items() if kind.has_broker and trigger not in queued],
        "events": [_tell_event(event) for event in list_events(services.workspace, name).values()],
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
        "queue": target.queue,
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


def _put(stack: Stack, name: str, wanted: CallWish) -> None:
    plan = _find_plan(stack, name)
    targets = {one.trigger: one for one in find_targets(plan)} if plan else {}
    if wanted.trigger not in targets:
        raise FunctionError(f"{name} has no trigger {wanted.trigger!r} on the stack's broker.")
    target = targets[wanted.trigger]
    trial = TestMessage(wanted.path or target.address, _decode(wanted.body), wanted.headers, wanted.content_type)
    put_message(stack, name, target, trial)


def _decode(body: str) -> bytes:
    """Return a body's bytes.

    Raises:
        FunctionError: it is no base64.
    """
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise FunctionError("The body should be base64.") from error


def _keep(services: Services, function: str, wanted: EventWish) -> FunctionEvent:
    known = list_events(services.workspace)
    own = {name: event.spec.display_name for name, event in known.items() if event.function == function}
    if wanted.title in (title for name, title in own.items() if name != wanted.replaces):
        raise ConflictError(f"There is an event {wanted.title!r} already; choose another name, or save over it.")
    name = wanted.replaces if wanted.replaces in own else choose_name(function, wanted.title, taken=set(known))
    spec = EventSpec.model_validate(
        {
            "displayName": wanted.title,
            "triggerName": wanted.trigger_name,
            "triggerKind": wanted.trigger_kind,
            "body": wanted.body,
            "attributes": wanted.attributes,
        }
    )
    metadata = EventMetadata(name=name, labels={FUNCTION_LABEL: function})
    return save_event(services.workspace, FunctionEvent(metadata=metadata, spec=spec))


def choose_name(function: str, title: str, *, taken: set[str]) -> str:
    """Return a name for an event's file that no event of any function has: names count for all functions together."""
    word = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "event"
    stem = f"{function}-{word}"[: _NAME_LENGTH - 4].strip("-")
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (stem, *numbered) if name not in taken)


def _tell_event(event: FunctionEvent) -> dict[str, Any]:
    return {"name": event.metadata.name, **event.spec.model_dump(by_alias=True)}
