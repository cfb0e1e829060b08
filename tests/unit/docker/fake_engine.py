"""An engine of Docker that answers what a test has it answer."""

import json
import re
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

_VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}


class FakeEngine(socketserver.ThreadingUnixStreamServer):
    """Listens at a socket; `asked` are the paths of all requests."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.answer("/version", _VERSION)
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, path: str, content: Any, *, status: int = 200) -> None:
        """Answer with JSON, or with bytes as they are, to every request for a path."""
        self.answers[path] = status, content if isinstance(content, bytes) else json.dumps(content).encode()


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = re.sub(r"^/v[0-9.]+|[?].*$", "", self.path)
        status, content = self.server.answers.get(path, (404, b'{"message": "No such thing"}'))
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        return "test"

    def log_message(self, *_: object) -> None:
        pass
