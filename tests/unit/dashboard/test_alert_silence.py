"""What people do about alerts on their page; Alertmanager is the test's own."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from stack.alertmanager.client import Silence
from stack.dashboard.pages import alert_silence, alerts
from stack.errors import AlertError
from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Answer, Client

LABELS = {"sensor": 'o"<ven'}


class FakeAlertmanager:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def add_silence(self, labels: dict[str, str], seconds: float, *, by: str, comment: str) -> None:
        self.told.append((labels, seconds, by, comment))

    def list_silences(self) -> list[Silence]:
        return [Silence("s1", {"alertname": "hot"}, "2026-11-29T08:00:00Z", "ann", "")]

    def end_silence(self, silence: Silence) -> None:
        self.told.append(silence.id)


@pytest.fixture
def alertmanager(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> FakeAlertmanager:
    found = FakeAlertmanager()
    monkeypatch.setattr(alert_silence, "find_alertmanager", lambda _: found)
    return found


def post(client: Client, path: str, **fields: str) -> Answer:
    kind = "application/x-www-form-urlencoded"
    return client.send("POST", path, urlencode(fields).encode(), Content_Type=kind, HX_Request="true")


def test_dialog_asks_for_how_long(client: Client, workspace: Workspace) -> None:
    path = f"/alerts/silence?name=hot&action=acknowledge&labels={quote(json.dumps(LABELS))}"
    shown = client.send("GET", path, HX_Request="true").body.decode()
    assert "Acknowledge hot" in shown and 'value="24h"' in shown and "All of hot" in shown and "<ven" not in shown
    shown = client.send("GET", "/alerts/silence?name=hot&action=silence&labels={}").body.decode()
    assert 'value="2h"' in shown and "All of" not in shown
    assert client.send("GET", "/alerts/silence?name=hot&action=shout").status == 400


def test_one_or_all_are_silenced(client: Client, alertmanager: FakeAlertmanager) -> None:
    fields = {"name": "hot", "labels": json.dumps(LABELS), "duration": "30m"}
    answer = post(client, "/alerts/silence", action="acknowledge", of="one", comment="on my way", **fields)
    assert json.loads(answer.headers["hx-trigger"])["toast"] == {"text": "hot is acknowledged.", "level": "ok"}
    post(client, "/alerts/silence", action="silence", of="all", **fields)
    assert alertmanager.told == [
        ({"alertname": "hot", **LABELS}, 1800, "dashboard", "on my way"),
        ({"alertname": "hot"}, 1800, "dashboard", "silenced"),
    ]


@pytest.mark.parametrize("duration", ["soon", "0s", "99999h"])
def test_a_time_that_is_none_is_refused(client: Client, alertmanager: FakeAlertmanager, duration: str) -> None:
    answer = post(client, "/alerts/silence", action="silence", name="hot", duration=duration)
    assert answer.status == 400 and "duration" in answer.body.decode() and not alertmanager.told


def test_people_are_told_again(client: Client, alertmanager: FakeAlertmanager) -> None:
    assert post(client, "/alerts/silences/s1/end").status == 200
    assert alertmanager.told == ["s1"]
    assert "is over already" in post(client, "/alerts/silences/s2/end").body.decode()


def test_a_channel_is_tried(client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any, name: str) -> None:
        if name == "broken":
            raise AlertError("broken does not work: refused")

    monkeypatch.setattr(alerts, "test_channel", fail)
    said = [
        json.loads(post(client, f"/alerts/channels/{name}/test").headers["hx-trigger"])["toast"]
        for name in ("mail", "broken")
    ]
    assert [(one["level"], one["text"]) for one in said] == [
        ("ok", "mail took the message."),
        ("error", "broken does not work: refused"),
    ]
