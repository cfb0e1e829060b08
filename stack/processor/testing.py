"""A handler called as the processor calls it, without sockets, for the tests of a function's author.

For a handler in main.py that compares a reading with a limit a test is:

>>> from main import handler
>>> from stack.processor.testing import invoke
>>> def test_alert():
...     assert invoke(handler, body={"degrees": 31}).body == {"alert": True}

What the handler sends to an output of function.yaml is in the result: `result.outputs.alerts == [{"degrees": 31}]`.
"""

import asyncio
import atexit
import inspect
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

import nuclio_sdk
import yaml
from nuclio_sdk import Context, Event, Platform, TriggerInfo

from stack.contract import PYTHON
from stack.processor.attributes import Attributes
from stack.processor.configuration import Function, Sink, Trigger, parse_function
from stack.processor.delivery import Failure
from stack.processor.devices import prepare_devices
from stack.processor.event import new_id, to_time
from stack.processor.invocation import Invoker
from stack.processor.logger import ROOT, ConsoleFormatter, open_logger
from stack.processor.output.message import OutputMessage
from stack.processor.output.outbox import Outputs, OutputSet
from stack.processor.output.sender import LocalSender
from stack.processor.output.target import Address, Target, open_targets
from stack.processor.response import Response
from stack.processor.runtime.registry import Runtime, find_runtime
from stack.processor.worker_spec import Role, WorkerSpec

_TRIGGER = Trigger("default-http", "http", 1, "", "", "", Attributes("attributes", {}), 0.0, 0.0)
_FIELDS = frozenset(inspect.signature(Event).parameters)
_JSON = "application/json"

_runners: dict[Any, "HandlerRunner"] = {}


def invoke(
    handler: Callable[..., Any],
    event: Event | None = None,
    *,
    context: Context | None = None,
    raises: bool = False,
    responses: Mapping[str, Any] | None = None,
    devices: dict[str, Any] | None = None,
    **fields: Any,
) -> "Result":
    """Call a handler, sync or async, with an event, or one made of keyword arguments; return its response.

    The response is what `context.platform.call_function` would return: its body is the parsed object where the content
    type is JSON, else bytes. `init_context` of the handler's module is called before the first event of a handler, and
    not at all where a context is given. An exception becomes the response of status 500, or is raised if asked.

    What was sent to outputs is in the result's `outputs`; it goes nowhere. `context.request` gets the response that is
    in `responses` for its topic: a body, a whole response, or what is called with the request's body. `devices` has
    those of `context.devices`, each a mapping of methods to answers, as in `{"pump-7": {"open": {"is": "open"}}}`, and
    of `twin` to one with `desired` and `reported`, which is changed by what the handler sets.

    Raises:
        TypeError: a keyword argument is no attribute of an event.
        RuntimeError: an event loop runs already, as in an async test; call it from a plain one.
    """
    runner = HandlerRunner(handler, context) if context else _runners.get(handler)
    if runner is None:
        runner = _runners[handler] = HandlerRunner(handler, open_context())
        runner.prepare()
    if responses is not None or not context:
        runner.context.request = _PreparedResponses(responses or {})
    if devices is not None or not context:
        runner.context.devices = prepare_devices(devices or {})
    return runner.invoke(make_event(**fields) if event is None else event, raises=raises)


def make_event(body: Any = b"", **fields: Any) -> Event:
    """Return an event as a request over HTTP would make it; fields are the names of an event's attributes.

    Raises:
        TypeError: a field is no attribute of an event.
    """
    fields = {("_id" if name == "id" else "_type" if name == "type" else name): fields[name] for name in fields}
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        known = ", ".join(sorted(name.lstrip("_") for name in _FIELDS))
        raise TypeError(f"an event has no {', '.join(unknown)}; attributes: {known}")
    is_object = not isinstance(body, str | bytes | bytearray | type(None))
    text = json.dumps(body, default=str).encode() if is_object else _encode(body)
    headers = fields.pop("headers", None) or {}
    content_type = fields.pop("content_type", None) or headers.get("Content-Type", _JSON if is_object else "")
    defaults = {
        "trigger": TriggerInfo("http", _TRIGGER.name),
        "_id": new_id(),
        "method": "POST" if text else "GET",
        "path": "/",
        "size": len(text),
        "timestamp": to_time(int(time.time())),
        "url": "",
        "shard_id": -1,
        "num_shards": 0,
        "_type": "",
        "type_version": "",
        "version": "",
        "topic": "",
    }
    given = body if is_object else text
    return Event(**(defaults | fields), body=given, content_type=content_type, headers=headers)


def open_context(namespace: str = "nuclio", runtime: str = PYTHON) -> Context:
    """Return a context like a worker's, whose log goes where standard output goes at the time."""
    logger = open_logger(f"processor.http.w0.{runtime}.logger", Sink())
    logger.bind(worker_id="0")
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, logging.StreamHandler) and isinstance(handler.formatter, ConsoleFormatter):
            handler.setStream(_Output())
    return Context(logger, Platform("local", namespace), "0", TriggerInfo("http", _TRIGGER.name))


class Sent(list[Any]):
    """The bodies that were sent to one output: objects where they are JSON, else texts or bytes."""

    def __init__(self, messages: list[OutputMessage]) -> None:
        super().__init__(message.content for message in messages)
        self.messages = messages
        """The messages, with their `address` (routing key or topic), `headers`, `message_id` and so on."""


class SentOutputs:
    """What was sent: each output is an attribute, empty where nothing was."""

    def __init__(self, messages: list[OutputMessage], outputs: OutputSet) -> None:
        self.messages = messages
        self._outputs = outputs

    def __getattr__(self, name: str) -> Sent:
        """Return what was sent to an output; one that function.yaml does not name is an error."""
        if name.startswith("_"):
            raise AttributeError(name)
        self._outputs.find(name)
        return Sent([message for message in self.messages if message.output == name])


class Result(nuclio_sdk.Response):  # type: ignore[misc]
    """A response, and what was sent to outputs meanwhile."""

    outputs: SentOutputs


class HandlerRunner:
    """A handler, its context and its event loop, for any number of events."""

    def __init__(
        self,
        handler: Callable[..., Any],
        context: Context,
        runtime: Runtime | None = None,
        outputs: OutputSet | None = None,
    ) -> None:
        self._handler = handler
        self._runtime = runtime or find_runtime(PYTHON)
        self.context = context
        self._sent: list[OutputMessage] = []
        self._outputs = outputs or _open_outputs(handler, self._sent)
        context.outputs = Outputs(self._outputs)
        self._runner: asyncio.Runner | None = None

    def prepare(self) -> None:
        """Call the handler's init_context, if there is one; its errors are raised."""
        prepare = self._runtime.find_init_context(self._handler)
        if prepare:
            self._complete(prepare(self.context))

    def invoke(self, event: Event, *, raises: bool = False) -> Result:
        """Return the response to an event."""
        self._sent.clear()
        response = self.respond(event, raises=raises)
        body = json.loads(response.body) if response.content_type == _JSON else response.body
        result = Result(dict(response.headers), body, response.content_type, response.status)
        result.outputs = SentOutputs(list(self._sent), self._outputs)
        return result

    def respond(self, event: Event, *, raises: bool = False) -> Response:
        """Return the response to an event, as it would be written."""
        kind = _RaisingInvoker if raises else Invoker
        spec = WorkerSpec(_TRIGGER, Role.WORKER)
        invoker = kind(
            self._handler,
            self.context,
            build=lambda message: message,
            spec=spec,
            complete=self._complete,
            runtime=self._runtime,
        )
        invoker.attach(self._outputs)
        delivery = _Delivery(event)
        if self._runtime.is_async(self._handler):
            self._complete(invoker.handle_async(delivery))
        else:
            invoker.handle(delivery)
        assert delivery.response is not None
        return delivery.response

    def _complete(self, result: Any) -> Any:
        if not inspect.isawaitable(result):
            return result
        if self._runner is None:
            self._runner = asyncio.Runner()
            atexit.register(self._runner.close)
        return self._runner.run(_wait_for(result), context=copy_context())


class _PreparedResponses:
    """`context.request` in a test."""

    def __init__(self, responses: Mapping[str, Any]) -> None:
        self._responses = responses

    def __call__(self, topic: str, body: Any = b"", timeout: float = 5.0, *, response_topic: str = "") -> Any:
        """Return the response for a topic, as one of the other side would be; without one it comes too late."""
        if topic not in self._responses:
            raise TimeoutError(f"there is no response to {topic!r}: give one, invoke(…, responses={{{topic!r}: …}})")
        found = self._responses[topic]
        response = found(body) if callable(found) else found
        if isinstance(response, nuclio_sdk.Response):
            return response
        is_object = not isinstance(response, str | bytes)
        content = response.encode() if isinstance(response, str) else response
        return nuclio_sdk.Response({}, content, _JSON if is_object else "text/plain", 200)


class _AnyTargets(dict[str, Target]):
    """Outputs of every name, for a handler without a function.yaml."""

    def __missing__(self, name: str) -> Target:
        return Target(name, _AnyAddress())

    def __bool__(self) -> bool:
        return True


class _AnyAddress(Address):
    def fill(self, key: str | None, values: object) -> str:
        return key or ""


def _open_outputs(handler: Callable[..., Any], sent: list[OutputMessage]) -> OutputSet:
    """Return the outputs that the function.yaml beside a handler names; without one, outputs of every name."""
    function = _read_function(handler)
    targets = open_targets(function) if function else _AnyTargets()
    return OutputSet(function or parse_function({}, secrets=Path(), folder=Path()), targets, LocalSender(sent.append))


def _read_function(handler: Callable[..., Any]) -> Function | None:
    with suppress(TypeError, OSError, yaml.YAMLError):
        path = Path(inspect.getsourcefile(inspect.unwrap(handler)) or "").parent / "function.yaml"
        spec = (yaml.safe_load(path.read_text()) or {}).get("spec") or {}
        outputs = {
            name: {key: value for key, value in output.items() if key != "secret"}
            for name, output in (spec.get("outputs") or {}).items()
        }
        document = {
            "metadata": {"name": path.parent.name},
            "spec": {"outputs": outputs, "onSuccess": spec.get("onSuccess")},
        }
        return replace(parse_function(document, secrets=Path(), folder=path.parent), reloads=True)
    return None


class _RaisingInvoker(Invoker):
    """Lets the handler's errors through."""

    def _explain(self, error: BaseException) -> tuple[Response, Failure | None]:
        raise error


class _Delivery:
    """A message that is an event already, and keeps its response."""

    def __init__(self, event: Event) -> None:
        self.message = event
        self.response: Response | None = None

    def claim(self) -> bool:
        """Return that it is to be handled."""
        return True

    def hold(self) -> None:
        """Note nothing: no one delivers it again."""

    def done(self, response: Response) -> None:
        """Keep the response."""
        self.response = response

    def failed(self, response: Response, failure: Failure) -> None:
        """Keep the response."""
        self.response = response


class _Output:
    """Standard output of the moment: a test runner puts another in its place for each test."""

    def write(self, text: str) -> int:
        """Write a text."""
        return sys.stdout.write(text)

    def flush(self) -> None:
        """Write what is held back."""
        sys.stdout.flush()


def _encode(body: str | bytes | bytearray | None) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable
