"""Calls over HTTP, against a server of this machine."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack.errors import FunctionError
from stack.run.invocation import Request, call_function, find_call_url, read_logs
from stack.state.workspace import PLACE_VARIABLE, STACK


class Echo(BaseHTTPRequestHandler):
    """Tells what it was sent; one path is slow, and one breaks off."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.endswith("/slow"):
            time.sleep(3)
        if self.path.endswith("/gone"):
            self.close_connection = True
            return
        told = {"method": self.command, "path": self.path, "mine": self.headers.get("X-Mine"), "body": body.decode()}
        self.send_response(201)
        self.send_header("X-Nuclio-Logs", json.dumps([{"level": self.headers.get("X-Nuclio-Log-Level")}]))
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 -- the base class looks for these names

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/thermo"
        server.shutdown()
        thread.join()


def test_all_is_sent_and_all_comes_back(url: str) -> None:
    answer = call_function("thermo", url, Request("//a b?c=%20", "put", {"X-Mine": "yes"}, b"hi", "warn"))
    assert (answer.status, answer.reason) == (201, "Created")
    told = {"method": "PUT", "path": "/thermo/a%20b?c=%20", "mine": "yes", "body": "hi"}
    assert json.loads(answer.body) == told
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert answer.logs == [{"level": "warn"}]
    assert 0 < answer.seconds < 5


def test_the_method_follows_from_the_body(url: str) -> None:
    methods = [json.loads(call_function("f", url, Request(body=body)).body)["method"] for body in (b"", b"x")]
    assert methods == ["GET", "POST"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("slow", timeout=0.1), "thermo did not answer within 0.1 s."),
        (Request("gone"), "thermo broke the call off: "),
        (Request(method="a\nb"), "The call cannot be made: "),
        (Request(headers={"X": "a\nb"}), "The call cannot be made: "),
    ],
)
def test_what_does_not_work_is_said(url: str, request_: Request, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        call_function("thermo", url, request_)


def test_a_stack_that_is_down_is_to_be_brought_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(FunctionError, match=f"Nothing answers at {place}. Type `invoke up`"):
        call_function("thermo", f"http://{place}/thermo", Request())


@pytest.mark.parametrize(
    ("text", "logs"), [("", None), ("{", None), ("{}", None), ("[]", []), ('[1, {"a": 2}]', [{"a": 2}])]
)
def test_logs_are_read(text: str, logs: object) -> None:
    assert read_logs(text) == logs


def test_functions_are_found_from_within_the_stack_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLACE_VARIABLE, raising=False)
    assert find_call_url("f", "http://127.0.0.1:8080/f") == "http://127.0.0.1:8080/f"
    monkeypatch.setenv(PLACE_VARIABLE, STACK)
    assert find_call_url("f", "http://127.0.0.1:8080/f") == "http://gateway:8080/f"
    assert find_call_url("f", "") == "http://gateway:8405/containers/function-f/8080"


def test_no_more_is_read_than_is_asked_for(url: str) -> None:
    assert len(call_function("thermo", url, Request(most_bytes=7)).body) == 7
