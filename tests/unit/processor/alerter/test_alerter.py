"""Messages to iot/alerts as alerts: what they say, what is kept of them, and how Alertmanager is told."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from nuclio_sdk import Event

from stack.contract import FUNCTION
from stack.processor.alerter.handler import Alerter, Options, Teller
from stack.processor.alerter.message import Message, NoAlertError, read_message
from stack.processor.alerter.state import FORGET, AlertState, Escalation, load_state

# What temperaturealert sends.
HIGH = {"sensor": "oven", "state": "high", "average": 26.1, "threshold": 25.0}
LABELS = {"alertname": "temperaturealert", "sensor": "oven"}


def read(**fields: Any) -> Message:
    return read_message(json.dumps(fields), {FUNCTION: "temperaturealert"})


def test_message_of_the_example_is_an_alert() -> None:
    message = read(**HIGH, time=datetime.now(UTC).isoformat())
    assert (dict(message.labels), message.severity, message.is_over) == (LABELS, "warning", False)
    assert message.text == "sensor: oven, state: high, average: 26.1, threshold: 25.0"
    over = read(**{**HIGH, "state": "normal", "average": 20})
    assert over.is_over and over.key == message.key


@pytest.mark.parametrize(
    ("fields", "labels", "text"),
    [
        ({"alert": "pump", "text": "It leaks."}, {"alertname": "pump"}, "It leaks."),
        ({"name": "pump", "room": "a", "rate": 3}, {"alertname": "pump", "room": "a"}, "room: a, rate: 3"),
        ({"alert": "a", "labels": {"n": 3, "tidegate_channel": "x", "a b": "c"}}, {"alertname": "a", "n": "3"}, ""),
    ],
)  # fmt: skip
def test_fields_are_labels_and_text(fields: dict[str, Any], labels: dict[str, str], text: str) -> None:
    message = read(**fields)
    assert (dict(message.labels), message.text) == (labels, text)


@pytest.mark.parametrize(("state", "is_over"), [("OK", True), (False, True), ("high", False), (1, False)])
def test_state_says_whether_it_is_over(state: Any, is_over: bool) -> None:
    assert read(status=state, sensor="a").is_over is is_over


def test_time_is_the_messages_own_if_it_can_be() -> None:
    now = time.time()
    assert read(a="b", time=now - 100).at == pytest.approx(now - 100)
    assert read(a="b", time=(now - 100) * 1000).at == pytest.approx(now - 100)
    assert read(a="b", time=datetime.fromtimestamp(now - 60, UTC).isoformat()).at == pytest.approx(now - 60)
    for wrong in ("yesterday", now - 10 * 86400, now + 3600, [1], float("inf")):
        assert read(a="b", time=wrong).at == pytest.approx(now, abs=5)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "JSON object"),
        (b"hot", "JSON object"),
        (b"[1]", "JSON object"),
        (b"\xff", "JSON object"),
        ({}, "JSON object"),
        ({"severity": "loud"}, "severity should be info, warning, critical"),
        ({"labels": 3}, "labels should be an object"),
    ],
)
def test_what_is_no_alert_is_refused(body: Any, reason: str) -> None:
    with pytest.raises(NoAlertError, match=reason):
        read_message(body, {})


def test_odd_messages_are_refused_alone(tmp_path: Path) -> None:
    nested: Any = 1
    for _ in range(100_000):
        nested = [nested]
    state, lock = AlertState(tmp_path), Lock()
    alerter = Alerter(state, lock, Teller(state, lock, Logger(), Options("http://127.0.0.1:1")))
    bodies = [
        b"[" * 5000 + b"]" * 5000,
        {"labels": {"a": nested}},
        b'{"a": "\\ud800", "text": "\\udfff"}',
        json.dumps(HIGH),
    ]
    refusals = alerter.take([Event(body=body, _id=str(number)) for number, body in enumerate(bodies)])
    assert [one.event_id for one in refusals] == ["0", "1"]
    assert [one.labels.get("a") for one in state.alerts] == ["?", None]
    assert json.dumps([one.describe() for one in state.alerts], ensure_ascii=False).encode()


def test_alert_begins_goes_on_and_ends(tmp_path: Path) -> None:
    state, now = AlertState(tmp_path), time.time()
    state.apply(read(**HIGH, time=now - 60))
    state.apply(read(**HIGH, time=now - 30))
    (alert,) = state.alerts
    assert alert.start == pytest.approx(now - 60) and alert.end == pytest.approx(now - 30 + FORGET)
    state.save()
    state = load_state(tmp_path)
    state.apply(read(**{**HIGH, "state": "normal"}, time=now))
    (alert,) = state.alerts
    assert alert.labels == {**LABELS, "severity": "warning"} and alert.end == pytest.approx(now)
    # What was over and fires again is told once.
    state.apply(read(**HIGH))
    assert len(state.alerts) == 1 and state.firing


def test_alert_that_becomes_worse_is_another(tmp_path: Path) -> None:
    state = AlertState(tmp_path)
    state.apply(read(**HIGH))
    state.apply(read(**HIGH, severity="critical"))
    assert [one.labels["severity"] for one in state.alerts] == ["warning", "critical"]
    state.apply(read(**{**HIGH, "state": "normal"}))
    assert not state.firing


def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    state = AlertState(tmp_path)
    state.apply(read(**HIGH))
    state.forget(time.time() + FORGET + 1)
    assert not state.alerts
    # That something is over that no one knows of is nothing to tell.
    state.apply(read(**{**HIGH, "state": "normal"}))
    assert not state.alerts


def test_others_are_told_of_what_goes_on(tmp_path: Path) -> None:
    state, now = AlertState(tmp_path), time.time()
    state.apply(read(**HIGH, severity="critical", time=now))
    (alert,), escalation = state.alerts, Escalation(60, ["critical"])
    assert escalation.apply(alert, now + 59) == [alert]
    _, more = escalation.apply(alert, now + 61)
    assert more.labels == {**alert.labels, "tidegate_escalation": "yes"} and more.start == alert.start
    assert Escalation(60, ["info"]).apply(alert, now + 61) == [alert]


def test_there_are_only_so_many(tmp_path: Path) -> None:
    state = AlertState(tmp_path)
    for number in range(5000):
        state.apply(read(sensor=f"s{number}"))
    with pytest.raises(NoAlertError, match="5000 alerts"):
        state.apply(read(sensor="other"))
    state.apply(read(sensor="s1"))


class Logger:
    """Keeps reasons."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def warn_with(self, _: str, *, reason: str) -> None:
        self.reasons.append(reason)


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.append((self.path, self.headers["Authorization"], body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def sink() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
        server.told, server.status = [], 200  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_alertmanager_and_the_history_are_told(tmp_path: Path, sink: Any) -> None:
    address, state, lock = f"127.0.0.1:{sink.server_address[1]}", AlertState(tmp_path), Lock()
    logger = Logger()
    options = Options(f"http://{address}", f"http://me:pw@{address}", Escalation(60, ["critical"]))
    teller = Teller(state, lock, logger, options)
    alerter = Alerter(state, lock, teller)
    events = [
        Event(body=json.dumps(HIGH), headers={FUNCTION: "temperaturealert"}),
        Event(body=b"poison", _id="e2"),
    ]
    (refusal,) = alerter.take(events)
    assert (refusal.status_code, refusal.event_id, refusal.headers) == (500, "e2", {"x-nuclio-retry": "no"})
    assert load_state(tmp_path).firing
    sink.status = 503
    assert not teller.tell_all() and logger.reasons == ["status 503: "]
    sink.status = 200
    sink.told.clear()
    assert teller.tell_all()
    (path, _, body), (store_path, login, line) = sink.told
    (alert,) = json.loads(body)
    assert path == "/api/v2/alerts" and alert["labels"] == {**LABELS, "severity": "warning"}
    assert alert["annotations"]["text"].startswith("sensor: oven")
    assert (store_path, login) == ("/api/v1/import/prometheus", "Basic bWU6cHc=")
    assert 'alertname="temperaturealert"' in line and 'alertstate="firing"' in line and line.endswith("} 1")
