"""vmalert's rules, by a server that answers as it does."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from stack.alertmanager import rule as module
from stack.alertmanager.rule import fetch_rule_problems
from stack.errors import AlertError

GROUPS = [
    {"name": "hot", "rules": [{"name": "hot", "health": "ok", "lastError": ""}]},
    {"name": "ratio", "rules": [{"name": "ratio", "health": "err", "lastError": "duplicate time series"}]},
]


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"status": "success", "data": {"groups": GROUPS}}).encode()
        self.send_response(200 if self.path == "/api/v1/rules" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def vmalert(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(module, "find_host", lambda *_: "127.0.0.1")
        monkeypatch.setattr(module, "PORT", server.server_address[1])
        yield server
        server.shutdown()


@pytest.mark.usefixtures("vmalert")
def test_rules_that_fail_are_known_by_their_names() -> None:
    assert fetch_rule_problems(object()) == {"ratio": "duplicate time series"}  # type: ignore[arg-type]


def test_vmalert_that_is_away_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_host", lambda *_: "127.0.0.1")
    monkeypatch.setattr(module, "PORT", 1)
    with pytest.raises(AlertError, match="vmalert does not answer"):
        fetch_rule_problems(object())  # type: ignore[arg-type]
