"""Whatever arrives, whatever the handler does and whatever is configured: each event is settled once, nothing ends."""

import asyncio
import string
from io import StringIO
from pathlib import Path
from typing import Any

import nuclio_sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import BasicProperties

from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.configuration import Function, Trigger, parse_function
from stack.processor.delivery import Failure
from stack.processor.event import read_form
from stack.processor.invocation import Invoker
from stack.processor.message import AmqpMessage, HttpMessage, MqttMessage
from stack.processor.response import Response
from stack.processor.source.http.delivery import ResponseWriter
from stack.processor.testing import open_context
from stack.processor.trigger.registry import open_builder
from stack.processor.worker_spec import Role, WorkerSpec

NAMES = ("content-type", "CE-CloudEventsVersion", "ce-eventid", "ce-eventtime", "x-nuclio-log-level", "host")
TYPES = ("application/json", "application/cloudevents", "application/cloudevents+json", "text/plain")
VERSIONS = ('{"cloudEventsVersion": "0.1", "data": 1}', '{"eventTime": "x"}', '{"eventTime": 1, "extensions": 2}', "[[")

short_bytes = st.binary(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | short_bytes
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3),
    max_leaves=6,
)
bodies = st.binary(max_size=60) | st.sampled_from(VERSIONS).map(str.encode)

header = st.tuples(
    st.sampled_from(NAMES).map(str.encode) | short_bytes,
    st.sampled_from((*TYPES, "debug")).map(str.encode) | short_bytes,
)
http_messages = st.builds(
    HttpMessage,
    st.sampled_from((b"GET", b"\xff")),
    short_bytes,
    st.lists(header, max_size=4),
    bodies,
    st.floats(0, 2e9),
)
properties = st.builds(
    BasicProperties,
    content_type=st.none() | st.sampled_from(TYPES) | st.text(max_size=9),
    headers=st.none() | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), values, max_size=3),
    message_id=st.none() | st.text(max_size=9),
    timestamp=st.none() | st.integers(-(2**63), 2**63),
    type=st.none() | st.text(max_size=9),
    reply_to=st.none() | st.text(max_size=9),
)
amqp_messages = st.builds(AmqpMessage, st.text(max_size=9), st.text(max_size=9), properties, bodies)
topics, contents = st.text(max_size=9), st.sampled_from(("", *TYPES))
mqtt_messages = st.builds(MqttMessage, topics, bodies, st.integers(-1, 65535), st.just({}), contents, st.floats(0, 2e9))
messages = (
    st.tuples(st.just("http"), http_messages)
    | st.tuples(st.just("rabbit-mq"), amqp_messages)
    | st.tuples(st.just("mqtt"), amqp_messages | mqtt_messages)
)


class Odd:
    """An object of a user's that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


responses = st.builds(
    nuclio_sdk.Response,
    headers=st.none() | st.dictionaries(scalars, values, max_size=3),
    body=values | st.builds(Odd),
    content_type=st.none() | st.sampled_from(TYPES) | values,
    status_code=st.integers(-5, 1100) | values,
)
results = values | st.tuples(st.integers(-5, 1100) | values, values) | responses | st.builds(Odd) | st.lists(responses)
RAISED = (ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), OSError(5, "x"))
raised_responses = st.builds(nuclio_sdk.ExceptionWithResponse, st.integers(-5, 1100), values, values)
errors = st.sampled_from(RAISED) | raised_responses | st.builds(ValueError, st.builds(Odd))


class Kept:
    """A delivery that counts how often it was settled."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.settled: list[tuple[Response, Failure | None]] = []

    def claim(self) -> bool:
        return True

    def hold(self) -> None:
        pass

    def done(self, response: Response) -> None:
        self.settled.append((response, None))

    def failed(self, response: Response, failure: Failure) -> None:
        self.settled.append((response, failure))


CONTEXT = open_context()
WRITER = ResponseWriter()
WRITER.set_time(0.0)


def handle(kind: str, message: Any, act: Any) -> tuple[Response, Failure | None]:
    """Handle a message with both sorts of handlers; return what became of it the second time."""
    trigger = Trigger("t", kind, 1, "amqp://h" if kind != "http" else "", "", "", Attributes("a", {}), 1.0, 1.0)
    loop = asyncio.Runner()

    def handler(_context: Any, event: Any) -> Any:
        return act(event)

    async def async_handler(_context: Any, event: Any) -> Any:
        return act(event)

    def invoker(function: Any) -> Invoker:
        spec = WorkerSpec(trigger, Role.WORKER)
        return Invoker(function, CONTEXT, build=open_builder(trigger, read_form()), spec=spec, complete=loop.run)

    first, second = Kept(message), Kept(message)
    invoker(handler).handle(first)
    loop.run(invoker(async_handler).handle_async(second))
    loop.close()
    assert len(first.settled) == len(second.settled) == 1
    (response, failure), (other, _) = second.settled[0], first.settled[0]
    assert response.status == other.status
    assert WRITER.write(response, keep_alive=True, old_client=False, body_allowed=True).startswith(b"HTTP/1.1 ")
    return response, failure


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep some hundred tracebacks out of the report; the log itself is made all the same."""
    monkeypatch.setattr("sys.stdout", StringIO())
    monkeypatch.setattr("sys.stderr", StringIO())


@settings(deadline=None, max_examples=150)
@given(messages)
def test_any_message_is_settled_once(pair: tuple[str, Any]) -> None:
    response, failure = handle(*pair, lambda event: event.to_json())
    assert (response.status == 200) == (failure is None)


@settings(deadline=None, max_examples=200)
@given(results)
def test_any_result_is_settled_once(result: Any) -> None:
    message = HttpMessage(b"GET", b"/", [], b"", 0.0)
    handle("http", message, lambda _event: result)


@settings(deadline=None, max_examples=50)
@given(errors)
def test_any_error_is_settled_once(error: BaseException) -> None:
    def act(_event: Any) -> Any:
        raise error

    response, failure = handle("http", HttpMessage(b"GET", b"/", [], b"", 0.0), act)
    assert failure is None or response.status >= 500 or isinstance(error, nuclio_sdk.ExceptionWithResponse)


KEYS = "metadata spec name handler triggers kind env value valueFrom loggerSinks level labels batch url"
KEYS += " attributes numWorkers eventTimeout mode"
keys = st.sampled_from(KEYS.split()) | scalars
documents = st.recursive(
    scalars | st.sampled_from(("http", "rabbit-mq", "10s", "debug")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)
triggers = st.fixed_dictionaries({"spec": st.fixed_dictionaries({"triggers": st.dictionaries(scalars, documents)})})


@settings(deadline=None, max_examples=300)
@given(documents | triggers | st.dictionaries(st.sampled_from(KEYS.split()), documents))
def test_any_configuration_is_read_or_refused_with_its_path(document: Any) -> None:
    try:
        function = parse_function(document, secrets=Path("/nowhere"), folder=Path("/nowhere"))
    except ConfigurationError as error:
        assert str(error)[:1] in string.printable
    else:
        assert isinstance(function, Function)
