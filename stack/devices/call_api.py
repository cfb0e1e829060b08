"""How calls are asked for: by HTTP of the stack's own programs, and by functions with MQTT 5's requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from hashlib import sha256
from threading import Thread
from typing import Any

from pika import BasicProperties
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack import console
from stack.config.document import parse_model
from stack.contract import (
    CALL_REQUESTS,
    MOST_CALL_WAIT,
    MQTT_EXCHANGE,
    RESPONSE_TOPIC,
    RESPONSES,
    TWIN_REQUESTS,
    to_key,
    to_topic,
)
from stack.devices.api import change_twin, read_change, read_number, read_object
from stack.devices.calls import Calls
from stack.devices.link import Delivery, Link, Publication
from stack.devices.twin import Twins
from stack.errors import BrokerError, ConfigError, DeviceError, StackError
from stack.plan.device_call import MOST_LISTED, USUALLY_LISTED, Call, CallRequest, describe_call
from stack.processor.source.rabbitmq.field_table import to_text

# Characters of a function's name, which is what the topic of its answers says.
_LONGEST_NAME = 63

Document = dict[str, Any]
# Returns the answer to a document; it is given the function that asks, and what tells its request from others.
Answer = Callable[[Document, str, str], Awaitable[Document]]


async def make_call(calls: Calls, device: str, said: Document, *, by: str, id: str = "") -> Call:
    """Make a call as a document says it, and wait for its answer as long as that says.

    Raises:
        StackError: the document is wrong, or there is no such device.
    """
    request = parse_model(CallRequest, said, name=f"The call of {device}")
    call = await run_in_threadpool(calls.make, device, request, by, id=id)
    return await wait_for(calls, call, request.wait)


async def wait_for(calls: Calls, call: Call, seconds: float) -> Call:
    """Return a call when it is over, or as it is when so many seconds have passed."""
    if call.state.is_over or not seconds:
        return call
    future: Future[Call] = calls.watch(call)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
    except TimeoutError:
        return await run_in_threadpool(calls.find, call.device, call.id) or call
    finally:
        calls.unwatch(call, future)


def build_call_routes(calls: Calls) -> list[BaseRoute]:
    """Return the routes of calls."""

    async def make(request: Request) -> Response:
        said = await read_object(request)
        by = str(said.pop("by", ""))
        call = await make_call(calls, request.path_params["name"], said, by=by)
        return JSONResponse(describe_call(call), 201)

    def list_calls(request: Request) -> Response:
        limit = min(read_number(request, "limit", USUALLY_LISTED), MOST_LISTED)
        found = calls.list_last(request.path_params["name"], limit)
        return JSONResponse({"calls": list(map(describe_call, found))})

    async def find(request: Request) -> Response:
        device, id = request.path_params["name"], request.path_params["id"]
        call = await run_in_threadpool(calls.find, device, id)
        if call is None:
            raise DeviceError(f"There is no call {id} of {device}; only the last are kept.")
        seconds = min(read_number(request, "wait", 0), MOST_CALL_WAIT)
        return JSONResponse(describe_call(await wait_for(calls, call, seconds)))

    path = "/devices/{name}/calls"
    return [
        Route(path, list_calls, methods=["GET"]),
        Route(path, make, methods=["POST"]),
        Route(f"{path}/{{id}}", find),
    ]


class Requests:
    """What functions ask for at a topic, each answered at the topic that it names, if that is one of answers.

    A device is waited for, so each request is a task of a loop that has a thread of its own.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="requests", daemon=True).start()

    def on(self, topic: str, answer: Answer) -> None:
        """Have documents answered."""

        def take(delivery: Delivery) -> Iterable[Publication]:
            if topic := _find_response_topic(delivery):
                asyncio.run_coroutine_threadsafe(self._reply(delivery, topic, answer), self._loop)
            return ()

        self._link.on(MQTT_EXCHANGE, to_key(topic), take)

    async def _reply(self, delivery: Delivery, topic: str, answer: Answer) -> None:
        function, correlation = (
            topic.removeprefix(RESPONSES).partition("/")[0],
            delivery.properties.correlation_id or "",
        )
        id = sha256(f"{topic} {correlation}".encode(errors="replace")).hexdigest()[:32]
        try:
            said = await answer(_read(delivery.body), function[:_LONGEST_NAME], id)
        except StackError as error:
            said = {"error": str(error)}
        except Exception as error:
            console.warn(f"A request of the function {function} could not be answered: {error!r}")
            said = {"error": f"The service of devices could not do it: {error!r}"}
        properties = BasicProperties(content_type="application/json", correlation_id=correlation)
        publication = Publication(topic, json.dumps(said).encode(), properties=properties)
        try:
            await run_in_threadpool(self._link.publish, publication)
        except BrokerError as error:
            console.warn(f"The function {function} could not be answered: {error}")


def _find_response_topic(delivery: Delivery) -> str:
    """Return where a request is to be answered; nothing where that is no topic of answers to functions."""
    topic = to_topic(to_text(delivery.headers.get(RESPONSE_TOPIC, "")))
    return topic if topic.startswith(RESPONSES) and {"+", "#"}.isdisjoint(topic) else ""


def answer_calls(calls: Calls, requests: Requests) -> None:
    """Have functions make calls."""

    async def answer(said: Document, function: str, id: str) -> Document:
        device = str(said.pop("device", ""))
        return describe_call(await make_call(calls, device, said, by=f"function {function}", id=id))

    requests.on(CALL_REQUESTS, answer)


def answer_twins(twins: Twins, link: Link, *, requests: Requests, may_log_in: Callable[[str], bool]) -> None:
    """Have functions read and change twins of devices that there are."""

    async def answer(said: Document, function: str, _: str) -> Document:
        device = str(said.get("device", ""))
        if not may_log_in(device):
            raise DeviceError(f"There is no device {device} that may log in.")
        if not said.get("set"):
            return (await run_in_threadpool(twins.get, device)).as_document()
        wanted = read_change({"patch": said["set"], "version": said.get("version"), "by": f"function {function}"})
        return await run_in_threadpool(change_twin, twins, link, device, wanted)

    requests.on(TWIN_REQUESTS, answer)


def _read(body: bytes) -> Document:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError(["A request should be a JSON object."])
    return found
