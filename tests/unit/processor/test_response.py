"""Responses, as they are made of any result, and written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nuclio_sdk import Response as UserResponse

from stack.processor.response import Response, Stream
from stack.processor.response import respond as respond_or_stream
from stack.processor.source.http.delivery import ResponseWriter

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def respond(result: Any) -> Response:
    response = respond_or_stream(result)
    assert isinstance(response, Response)
    return response


def write(response: Response) -> bytes:
    writer = ResponseWriter()
    writer.set_time(1_700_000_000)
    return writer.write(response, keep_alive=True, old_client=False, body_allowed=True)


@given(values)
def test_any_result_has_a_response(result: Any) -> None:
    response = respond(result)
    assert response.status == 200
    if isinstance(result, dict | list):
        assert response.content_type == "application/json"
        json.loads(response.body)
    else:
        assert response.content_type == "text/plain"


@given(st.integers(), values)
def test_any_pair_has_a_response_or_a_bad_status(status: int, body: Any) -> None:
    if status and not 200 <= status <= 999:
        with pytest.raises(ValueError, match="from 200 to 999"):
            respond((status, body))
    else:
        assert respond((status, body)).status == (status or 200)


def test_generator_is_a_stream() -> None:
    pieces = (part for part in ("a", b"b", 3))
    assert respond_or_stream(pieces) == Stream(None, pieces)
    stream = respond_or_stream(UserResponse(body=pieces, status_code=201, content_type="a/b"))
    assert stream == Stream(Response(201, "a/b", b"", {}), pieces)


def test_lone_surrogate_is_an_error_and_not_the_end() -> None:
    with pytest.raises(UnicodeEncodeError):
        respond("\ud800")


@given(st.dictionaries(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"]))), st.text())
def test_no_header_makes_another(headers: dict[str, str], content_type: str) -> None:
    try:
        written = write(respond(UserResponse(headers=headers, body="b", content_type=content_type)))
    except UnicodeEncodeError:
        return
    head, _, body = written.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert body == b"b"
    assert len(lines) <= 5 + len(headers)
    assert all(b":" in line and b"\n" not in line for line in lines[1:])


def test_headers_that_are_the_servers_are_not_the_users() -> None:
    headers = {"Content-Length": "999", "connection": "upgrade", "Server": "mine", "X-Mine": "1"}
    written = write(respond(UserResponse(headers=headers, body="b")))
    assert written == (
        b"HTTP/1.1 200 OK\r\nServer: nuclio\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nX-Mine: 1\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nb"
    )


@pytest.mark.parametrize("status", [199, 418, 599, 999])
def test_any_status_has_a_line(status: int) -> None:
    assert write(Response(status, "text/plain", b"", {})).startswith(f"HTTP/1.1 {status} ".encode())
