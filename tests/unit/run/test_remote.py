"""Deploying through a dashboard elsewhere: here a server that answers as Nuclio's own is documented to."""

import json
import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stack.errors import FunctionError, HostError
from stack.run import remote as remote_deploy
from stack.run.remote import deploy_remotely, open_dashboard
from stack.state.workspace import VARIABLE

STEPS = ("Deploying function", "Building processor image", "Function deploy complete")


@dataclass
class Nuclio:
    """What the original keeps, and what it was asked."""

    url: str = ""
    login: str = ""
    # What a deploy ends with.
    state: str = "ready"
    message: str = ""
    refusal: tuple[int, str] = (0, "")
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, Any] = field(default_factory=lambda: {"default": {"metadata": {"name": "default"}}})
    polls: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.requests.append((method, path))
        _, resource, *rest = path.strip("/").split("/")
        if resource == "projects":
            return (200, self.projects) if method == "GET" else self._make_project(body)
        if method == "GET":
            return self._tell(rest[0])
        return self._take(method, body)

    def _make_project(self, body: Any) -> tuple[int, Any]:
        self.projects[body["metadata"]["name"]] = body
        return 201, body

    def _take(self, method: str, body: Any) -> tuple[int, Any]:
        if self.refusal[0]:
            return self.refusal[0], {"error": self.refusal[1], "errorStackTrace": f"at {self.refusal[1]}"}
        if method == "POST" and body["metadata"]["name"] in self.functions:
            return 409, {"error": "Cannot create function, already exists", "errorStackTrace": ""}
        self.functions[body["metadata"]["name"]] = body
        self.polls = 0
        return 202, None

    def _tell(self, name: str) -> tuple[int, Any]:
        """A deploy takes as many looks as it has steps."""
        if name not in self.functions:
            return 404, {"error": "Function not found", "errorStackTrace": ""}
        self.polls += 1
        names = ("deploy", "build", "deploy", "deploy")
        logs = [
            {"time": 1.7e12, "level": "info", "name": name, "message": text}
            for name, text in list(zip(names, (STEPS[0], "#1 DONE", *STEPS[1:]), strict=True))[: self.polls]
        ]
        is_done = self.polls > len(names)
        status = {"state": self.state if is_done else "building", "logs": logs}
        if is_done:
            status |= {"message": self.message, "externalInvocationUrls": ["0.0.0.0:32768"]}
        return 200, {"metadata": {"name": name}, "spec": {}, "status": status}


@pytest.fixture
def nuclio() -> Iterator[Nuclio]:
    nuclio = Nuclio()

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            nuclio.headers = dict(self.headers)
            if nuclio.login and self.headers.get("Authorization") != nuclio.login:
                status, document = 401, {"error": "no"}
            else:
                status, document = nuclio.answer(self.command, self.path, json.loads(body) if body else None)
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        nuclio.url = f"http://127.0.0.1:{server.server_port}"
        yield nuclio
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "functions" / "reader"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text(
        "metadata: {labels: {nuclio.io/project-name: plant}}\nspec: {handler: 'main:handler'}\n"
    )
    (folder / "main.py").write_text("def handler(context, event):\n    return 1\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(remote_deploy, "_INTERVAL_SECONDS", 0.01)
    return tmp_path


def test_function_is_created_with_its_project(nuclio: Nuclio, capsys: pytest.CaptureFixture[str]) -> None:
    deploy_remotely("reader", nuclio.url)
    assert nuclio.requests[:4] == [
        ("GET", "/api/projects"),
        ("POST", "/api/projects"),
        ("GET", "/api/functions/reader"),
        ("POST", "/api/functions"),
    ]
    sent = nuclio.functions["reader"]
    assert sent["metadata"] == {"name": "reader", "labels": {"nuclio.io/project-name": "plant"}}
    assert b64decode(sent["spec"]["build"]["functionSourceCode"]) == b"def handler(context, event):\n    return 1\n"
    captured = capsys.readouterr()
    assert captured.out == "http://0.0.0.0:32768\n"
    assert [line.partition(" ")[2] for line in captured.err.splitlines()[:3]] == list(STEPS)
    assert "#1 DONE" not in captured.err
    assert f"reader is ready at {nuclio.url}" in captured.err


def test_function_that_is_there_is_replaced(nuclio: Nuclio) -> None:
    deploy_remotely("reader", nuclio.url)
    nuclio.requests.clear()
    deploy_remotely("reader", f"{nuclio.url}/api/")
    assert nuclio.requests[:3] == [
        ("GET", "/api/projects"),
        ("GET", "/api/functions/reader"),
        ("PUT", "/api/functions/reader"),
    ]


@pytest.mark.parametrize("state", ["error", "unhealthy"])
def test_deploy_that_fails_says_why(nuclio: Nuclio, state: str) -> None:
    nuclio.state, nuclio.message = state, "pip found no such package"
    with pytest.raises(FunctionError, match=f"reader did not come up at .*, it is {state}: pip found no such package"):
        deploy_remotely("reader", nuclio.url)


@pytest.mark.parametrize("state", ["imported", "scaledToZero", "standby"])
def test_deploy_that_starts_nothing_ends_too(nuclio: Nuclio, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    nuclio.state = state
    deploy_remotely("reader", nuclio.url)
    assert f"reader is {state}" in capsys.readouterr().err


def test_refusal_is_told_in_the_dashboards_words(nuclio: Nuclio) -> None:
    nuclio.refusal = (400, "Function name must be provided in metadata")
    with pytest.raises(FunctionError, match="refused it: Function name must be provided in metadata"):
        deploy_remotely("reader", nuclio.url)


def test_deploy_that_never_ends_is_given_up(nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch) -> None:
    nuclio.state = "building"
    monkeypatch.setattr(remote_deploy, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(FunctionError, match="reader is still building"):
        deploy_remotely("reader", nuclio.url)


def test_login_is_in_the_address_or_the_environment(nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch) -> None:
    nuclio.login = "Basic YW5uOnAvdw=="
    with pytest.raises(HostError, match="asks for a login"):
        deploy_remotely("reader", nuclio.url)
    deploy_remotely("reader", nuclio.url.replace("//", "//ann:p%2Fw@"))
    nuclio.login = "Bearer t0ken"
    monkeypatch.setenv("TIDEGATE_TOKEN", "t0ken")
    deploy_remotely("reader", nuclio.url)


def test_password_is_never_shown(nuclio: Nuclio, capsys: pytest.CaptureFixture[str]) -> None:
    nuclio.state = "error"
    url = nuclio.url.replace("//", "//ann:s3cret@")
    with pytest.raises(FunctionError) as caught:
        deploy_remotely("reader", url)
    captured = capsys.readouterr()
    assert "s3cret" not in str(caught.value) + captured.out + captured.err + repr(open_dashboard(url))


def test_no_one_answers(nuclio: Nuclio) -> None:
    with pytest.raises(HostError, match=r"http://127\.0\.0\.1:9 does not answer: Connection refused"):
        deploy_remotely("reader", "127.0.0.1:9")


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:port", "http://[x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(HostError, match=re.escape("--via should be a dashboard's address")):
        deploy_remotely("reader", url)


def test_function_that_is_not_there(nuclio: Nuclio) -> None:
    with pytest.raises(FunctionError, match=r"There is no functions/missing"):
        deploy_remotely("missing", nuclio.url)
    assert nuclio.requests == []
