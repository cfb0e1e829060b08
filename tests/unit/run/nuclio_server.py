"""A server that answers as Nuclio's own dashboard is documented to, and as Tidegate's does too."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
    revision: int = 0
    version: str = "3f2a"
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.requests.append((method, path))
        _, resource, *rest = path.strip("/").split("/")
        if resource == "projects":
            return (200, self.projects) if method == "GET" else self._make_project(body)
        if rest[1:] == ["rollback"]:
            return self._roll_back(rest[0], body)
        if method == "GET" and not rest:
            return 200, {name: self._tell(name)[1] for name in self.functions}
        if method == "GET":
            return self._tell(rest[0])
        return self._take(method, body)

    def _roll_back(self, name: str, body: Any) -> tuple[int, Any]:
        if self.refusal[0]:
            return self.refusal[0], {"error": self.refusal[1], "errorStackTrace": ""}
        self.polls = 0
        self.revision = body["revision"] or self.revision - 1
        return 202, None

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
        self.revision += 1
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
        status: dict[str, Any] = {"state": self.state if is_done else "building", "logs": logs}
        if is_done:
            status |= {"message": self.message, "externalInvocationUrls": ["0.0.0.0:32768"]}
            status |= {"revision": self.revision, "version": self.version}
        return 200, {"metadata": {"name": name}, "spec": {}, "status": status}


@contextmanager
def serve_nuclio() -> Iterator[Nuclio]:
    """Serve an empty one for the length of the block."""
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
