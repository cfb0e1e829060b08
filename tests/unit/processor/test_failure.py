"""What is said of an error: the handler's own line first, then the whole traceback, within limits."""

import json
from pathlib import Path

import pytest
from nuclio_sdk import Event

from stack.processor.delivery import Failure
from stack.processor.event import open_envelope
from stack.processor.failure import describe_answer
from stack.processor.response import Response
from stack.processor.runtime.python import describe_origin, format_trace
from stack.processor.runtime.registry import describe_error

STATUS = "the handler answered with status 500: "


def handler(_context: object, event: str) -> object:
    return json.loads(event)


def fail(depth: int) -> None:
    if depth:
        return fail_too(depth)
    raise ValueError("deep")


def fail_too(depth: int) -> None:
    fail(depth - 1)


def catch(text: str) -> BaseException:
    try:
        handler(None, text)
    except ValueError as error:
        return error
    raise AssertionError


def test_origin_is_the_handlers_line_and_the_whole_traceback() -> None:
    error = catch("no json")
    trace = format_trace(error, handler)
    first, *rest = describe_origin(error, trace).splitlines()
    assert first == f'File "{Path(__file__)}", line {handler.__code__.co_firstlineno + 1}, in handler'
    assert "\n".join(rest) == trace
    assert "json/decoder.py" in trace and trace.endswith("Expecting value: line 1 column 1 (char 0)")


def test_a_long_traceback_keeps_both_ends() -> None:
    try:
        fail(60)
    except ValueError as error:
        origin = describe_origin(error, format_trace(error, handler))
    assert len(origin) <= 4000
    assert origin.startswith('File "') and "Traceback (most recent call last)" in origin
    assert "\n  …\n" in origin and origin.endswith("ValueError: deep")


class TextlessError(Exception):
    def __str__(self) -> str:
        raise SystemExit


def test_an_error_without_a_text_is_told() -> None:
    assert describe_error(TextlessError()) == "TextlessError: (it has no text that can be shown)"
    assert "TextlessError" in format_trace(TextlessError(), handler)


def make_pair(_context: object, _event: object) -> object:
    return 1000, "x"


def test_lines_that_may_have_made_a_response_are_named() -> None:
    text = format_trace(ValueError("no status"), make_pair)
    assert text.startswith("The response was made at one of\n  File ")
    assert text.endswith("ValueError: no status")


def test_no_line_is_named_where_the_event_could_not_be_made() -> None:
    event = Event(content_type="application/cloudevents+json")
    with pytest.raises(ValueError) as caught:
        open_envelope(event, b"[]")
    assert caught.tb and caught.tb.tb_next
    error = caught.value.with_traceback(caught.tb.tb_next)
    assert format_trace(error, make_pair) == "ValueError: the body should be a CloudEvent, a JSON object"


@pytest.mark.parametrize(
    ("response", "error", "is_final"),
    [
        (Response(500, "text/plain", b"", {}), "the handler answered with status 500", False),
        (Response(500, "text/plain", b"None", {}), "the handler answered with status 500", False),
        (Response(503, "text/plain", b"no disk", {}), "the handler answered with status 503: no disk", False),
        (Response(500, "application/json", b"{}", {}), "the handler answered with status 500", False),
        (
            Response(500, "text/plain", b"no", {"X-Nuclio-Retry": "no"}),
            "the handler answered with status 500: no",
            True,
        ),
        (Response(500, "text/plain", b"x" * 900, {"x-nuclio-retry": "yes"}), f"{STATUS}{'x' * 500}", False),
    ],
)
def test_answer_is_told_and_may_be_final(response: Response, error: str, is_final: bool) -> None:
    assert describe_answer(response) == Failure(error, "", is_final)
