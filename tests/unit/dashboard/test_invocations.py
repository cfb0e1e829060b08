"""Calls that the dashboard passes on: what goes to the function and what comes back, headers and all.

A plain server stands where the gateway would, and tells what it was sent.
"""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stack.state.deployment import record_deployment
from stack.state.workspace import VARIABLE, Workspace
from tests.unit.dashboard.serving import Answer, Client, serving
from tests.unit.plan.samples import make_plan

PATH = "/api/function_invocations"
STATUSES = {"missing": 404, "strange": 999}


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent; the path says how."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        if "slow" in self.path:
            time.sleep(4)
        sent = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()), "body": body}
        content = json.dumps(sent).encode()
        self.send_response(next((status for word, status in STATUSES.items() if word in self.path), 200))
        for name, value in (
            ("Content-Type", "text/html" if "page" in self.path else "application/json"),
            ("Content-Length", str(len(content))),
            ("X-Nuclio-Logs", "[]"),
            ("X-Own", "one"),
            ("X-Own", "two"),
            ("Set-Cookie", "a=b"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 -- http.server looks for these

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A dashboard with one deployed function, behind a server that is at the gateway's port."""
    workspace = Workspace(tmp_path_factory.mktemp("calls"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {"project": "calls", "images": {"source": "debian"}, "ports": {"gateway": server.server_port}}
        (workspace.root / "stack.yaml").write_text(json.dumps(settings))
        record_deployment(workspace, make_plan("thermo"), image="image:1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, str(workspace.root))
            with serving() as client:
                yield client
        server.shutdown()


def call(client: Client, method: str = "POST", body: bytes | None = b"body", **headers: str) -> Answer:
    return client.send(method, PATH, body, X_Nuclio_Function_Name="thermo", **headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_method_path_headers_and_body_go_on(caller: Client, method: str) -> None:
    answer = call(caller, method, X_Nuclio_Path="//a b/%20?c=d&e=f", X_Mine="1", Content_Type="text/x")
    sent = answer.json
    assert (sent["method"], sent["path"], sent["body"]) == (method, "/thermo/a%20b/%20?c=d&e=f", "body")
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    assert (headers["x-mine"], headers["content-type"], headers["x-nuclio-target"]) == ("1", "text/x", "thermo")


def test_get_has_no_body(caller: Client) -> None:
    assert call(caller, "GET", b"body").json["body"] == ""


def test_what_lets_in_at_the_dashboard_stays_there(caller: Client) -> None:
    sent = call(caller, Authorization="Basic secret", X_CSRF_Token="token").json
    assert "secret" not in str(sent)
    assert "token" not in str(sent)


def test_status_and_all_headers_come_back(caller: Client) -> None:
    answer = call(caller, X_Nuclio_Path="missing")
    assert answer.status == 404
    assert (answer.headers["x-nuclio-logs"], answer.headers["set-cookie"]) == ("[]", "a=b")
    assert "connection" not in answer.headers
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_page_is_told_as_text_where_the_client_wants_nothing_to_run(caller: Client) -> None:
    assert call(caller, X_Nuclio_Path="page").headers["content-type"] == "text/html"
    safe = call(caller, X_Nuclio_Path="page", X_Nuclio_Sanitize_Response="true")
    assert safe.headers["content-type"] == "text/plain; charset=utf-8"
    assert call(caller, X_Nuclio_Sanitize_Response="true").headers["content-type"] == "application/json"


def test_function_that_takes_too_long(caller: Client) -> None:
    answer = call(caller, X_Nuclio_Path="slow", X_Nuclio_Invoke_Timeout="200ms")
    assert (answer.status, answer.json) == (504, {"error": "Failed to invoke function: it did not answer within 0.2 s"})


def test_status_that_http_does_not_know(caller: Client) -> None:
    answer = call(caller, X_Nuclio_Path="strange")
    assert (answer.status, "it answered with status 999" in answer.json["error"]) == (502, True)


def test_gateway_that_is_not_there(caller: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.dashboard.api.invocations.find_call_url", lambda *_: "http://127.0.0.1:1")
    answer = call(caller)
    assert (answer.status, answer.json["error"].startswith("Failed to invoke function: ")) == (502, True)
