"""Alertmanager's API, by a server that answers as it does."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from stack.alertmanager.client import Alertmanager, choose_alerts
from stack.errors import AlertError

ALERT = {
    "labels": {"alertname": "hot", "severity": "warning", "sensor": "oven"},
    "annotations": {"text": "oven is hot"},
    "startsAt": "2026-11-29T05:00:00.000Z",
    "receivers": [{"name": "mail"}, {"name": "/no-one"}],
    "status": {"state": "suppressed", "silencedBy": ["s1"], "mutedBy": ["nights"]},
}
SILENCE = {
    "id": "s1",
    "matchers": [{"name": "alertname", "value": "hot", "isRegex": False}],
    "endsAt": "2026-11-29T06:00:00.000Z",
    "createdBy": "ann",
    "comment": "known",
    "status": {"state": "active"},
}
METRICS = """# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration="email"} 3
alertmanager_notification_requests_total{integration="webhook"} 9
alertmanager_notification_requests_total{integration="webhook",receiver_name="home/test"} 5
alertmanager_notification_requests_failed_total{integration="webhook",receiver_name="home/test"} 1
alertmanager_notification_requests_failed_total{integration="email"} 1
"""


class Server(BaseHTTPRequestHandler):
    """Answers with what is known, and keeps what it is told."""

    told: list[tuple[str, str, Any]] = []  # noqa: RUF012 -- one for all requests
    status = 200

    def do_GET(self) -> None:
        old = SILENCE | {"id": "s0", "status": {"state": "expired"}}
        newer = ALERT | {"startsAt": "2026-11-29T05:10:00.000Z", "labels": {"alertname": "quiet"}}
        answers = {"/api/v2/alerts": [newer, ALERT], "/api/v2/silences": [SILENCE, old]}
        self._answer(METRICS if self.path == "/metrics" else json.dumps(answers[self.path]))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append((self.command, self.path, body))
        self._answer(json.dumps({"silenceID": "s2"}))

    def do_DELETE(self) -> None:
        self.told.append((self.command, self.path, None))
        self._answer("")

    def _answer(self, text: str) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def alertmanager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alertmanager]:
    monkeypatch.setattr(Server, "told", [])
    monkeypatch.setattr(Server, "status", 200)
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Alertmanager("127.0.0.1", server.server_port)
        server.shutdown()


def test_alerts_are_listed_the_oldest_first(alertmanager: Alertmanager) -> None:
    first, second = alertmanager.list_alerts()
    assert (first.name, first.severity, first.own_labels) == ("hot", "warning", {"sensor": "oven"})
    assert (first.text, first.silences, second.name) == ("oven is hot", ("s1",), "quiet")
    assert (first.receivers, first.is_muted) == (("mail",), True)
    assert choose_alerts([first, second], "", labels={"sensor": "oven"}) == [first]
    assert choose_alerts([first, second], "quiet", labels={}) == [second]
    assert choose_alerts([first, second], "quiet", labels={"sensor": "oven"}) == []


def test_silences_are_made_and_ended(alertmanager: Alertmanager) -> None:
    (silence,) = alertmanager.list_silences()
    assert (silence.labels, silence.by, silence.comment) == ({"alertname": "hot"}, "ann", "known")
    assert alertmanager.add_silence({"sensor": "oven"}, 3600, by="ann", comment="known") == "s2"
    alertmanager.end_silence(silence)
    (_, path, body), ended = Server.told
    assert (path, ended) == ("/api/v2/silences", ("DELETE", "/api/v2/silence/s1", None))
    assert body["matchers"] == [{"name": "sensor", "value": "oven", "isRegex": False}]
    assert body["startsAt"] < body["endsAt"]


def test_alerts_are_sent_and_what_was_told_is_counted(alertmanager: Alertmanager) -> None:
    alertmanager.send({"alertname": "test"}, "a test", 30)
    ((_, path, (alert,)),) = Server.told
    assert (path, alert["labels"]["alertname"], alert["annotations"]["text"]) == ("/api/v2/alerts", "test", "a test")
    assert [alertmanager.count_sent("x", name) for name in ("email", "webhook", "slack")] == [2, 9, 0]
    assert alertmanager.count_sent("home/test", "webhook") == 4


def test_what_does_not_answer_is_told_of(alertmanager: Alertmanager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "status", 500)
    with pytest.raises(AlertError, match="alertmanager answers with status 500"):
        alertmanager.list_alerts()
    with pytest.raises(AlertError, match="alertmanager does not answer: Connection refused"):
        Alertmanager("127.0.0.1", 1).list_alerts()
