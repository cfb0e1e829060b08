"""The page of alerts; Alertmanager and the store are the test's own."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from stack.dashboard.page import render_part
from stack.dashboard.pages import alerts
from stack.dashboard.services import open_services
from stack.errors import DataError
from stack.state.workspace import Workspace
from stack.victoriametrics.alert_history import Episode
from tests.unit.dashboard.serving import Client

SETTINGS = """
data: {keep: [{topic: '#'}]}
notify:
  channels:
    mail: {mail: {to: [ann@plant.example], from: p@plant.example, server: 'smtp.plant.example:587'}}
    hook: {webhook: {url: 'https://bot:pass-word@hooks.plant.example:8443/a-secret'}}
    phone: {telegram: {chat: 42, secret: notify.bot}}
    team: {slack: {secret: notify.slack}}
"""


@pytest.fixture
def watched(workspace: Workspace) -> Iterator[Workspace]:
    """A workspace with two alerts, of which one is wrong."""
    path, folder = workspace.root / "stack.yaml", workspace.root / "alerts"
    before = path.read_text()
    path.write_text(before + SETTINGS)
    folder.mkdir()
    (folder / "hot.yaml").write_text("when: temperature > 30\nfor: 2m\n")
    (folder / "bad.yaml").write_text("wen: temperature > 30\n")
    yield workspace
    path.write_text(before)
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()


def get(client: Client, path: str = "/alerts") -> str:
    return client.send("GET", path).body.decode()


def test_page_without_alerts_says_what_to_write(client: Client) -> None:
    page = get(client)
    assert "Nothing is watched" in page and "keep:" in page and "channels:" in page and "alerts/oven-hot.yaml" in page


def test_page_shows_what_is_watched_and_who_is_told(client: Client, watched: Workspace) -> None:
    page = get(client)
    assert "temperature &gt; 30 for 2m" in page
    assert "wen: is not a known key" in page
    for target in ("ann@plant.example", "hooks.plant.example:8443", "chat 42", "secret notify.slack"):
        assert target in page
    assert "a-secret" not in page and "pass-word" not in page
    assert "The stack itself is watched too" in page


def test_page_says_that_no_one_is_told(client: Client, watched: Workspace) -> None:
    path = watched.root / "stack.yaml"
    path.write_text(path.read_text().partition("data:")[0])
    page = get(client)
    assert "No one is told" in page and "There are no readings to look at" in page


def test_history_is_shown(client: Client, watched: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    labels = {"alertname": "hot", "severity": "warning", "sensor": "o<ven"}
    found = [Episode(labels, now - 60, now, is_over=False), Episode(labels, now - 900, now - 600, is_over=True)]
    monkeypatch.setattr(alerts, "fetch_episodes", lambda *_: found)
    monkeypatch.setattr(alerts, "find_alertmanager", lambda _: SimpleNamespace(list_alerts=list))
    shown = get(client, "/alerts/history")
    assert "sensor=o&lt;ven" in shown and shown.count("fires") == 1
    monkeypatch.setattr(alerts, "fetch_episodes", lambda *_: [])
    assert "Nothing has fired" in get(client, "/alerts/history")


def test_history_says_why_there_is_none(client: Client, watched: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise DataError("It is away.")

    monkeypatch.setattr(alerts, "fetch_episodes", fail)
    assert "It is away." in get(client, "/alerts/history")


def describe(**firing: Any) -> str:
    known = {
        "is_there": True,
        "problem": "",
        "alerts": [],
        "silences": [],
        "count": 0,
        "names": {},
        "failing": {},
    } | firing
    return show(known)


def show(known: dict[str, Any] | None) -> str:
    return render_part(alerts.FIRING.template, **alerts.FIRING.describe(None, "", {"alerts": known}))  # type: ignore[arg-type]


def make_row(**other: Any) -> dict[str, Any]:
    row = {"id": "a1", "name": "hot", "severity": "critical", "text": "<b>", "since": "2026-11-29T06:00:00Z"}
    rest: dict[str, Any] = {
        "own_labels": {"sensor": "oven"},
        "silence": None,
        "is_escalated": False,
        "query": "t",
        "points": [1, 2],
    }
    rest |= {"receivers": ["mail"], "is_muted": False}
    return row | rest | other


def test_what_fires_has_text_chart_and_silence() -> None:
    shown = describe(alerts=[make_row()], count=1, names={"hot": 1})
    assert "&lt;b&gt;" in shown and "sensor=oven" in shown and "/data?q=t&amp;since=21600" in shown
    silence = {"id": "s", "names": ["hot"], "until": "2026-11-29T08:00:00Z", "by": "ann", "comment": "on my way"}
    shown = describe(alerts=[make_row(silence=silence)], silences=[silence], count=60, names={"hot": 60})
    assert "not until" in shown and "on my way" in shown and "1 of 60 are shown" in shown and "hot (60)" in shown


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "mail"),
        ({"receivers": []}, "no channel"),
        ({"is_muted": True}, "quiet hours"),
        ({"is_escalated": True}, "escalated"),
        ({"receivers": ["hook"]}, "hook fails"),
    ],
)
def test_who_is_told_is_said(told: dict[str, Any], words: str) -> None:
    assert words in describe(alerts=[make_row(**told)], count=1, names={"hot": 1}, failing={"hook": "refused"})


def test_what_cannot_be_known_is_said() -> None:
    assert "Nothing fires" in describe()
    assert "It is away." in show({"is_there": True, "problem": "It is away."})
    assert "invoke up" in show({"is_there": False})
    assert "Looking" in show(None)


def test_alert_that_cannot_be_calculated_is_marked(client: Client, watched: Workspace) -> None:
    described = alerts.FILES.describe(open_services(), "", {"alerts": {"rules": {"hot": "<many>", "": "It is away."}}})
    shown = render_part(alerts.FILES.template, **described)
    assert "It cannot be calculated: &lt;many&gt;" in shown and "It is away." in shown


def test_channel_that_fails_is_marked(client: Client, watched: Workspace) -> None:
    services = open_services()
    described = alerts.CHANNELS.describe(services, "", {"alerts": {"failing": {"mail": "<refused>"}}})
    shown = render_part(alerts.CHANNELS.template, **described)
    assert "&lt;refused&gt;. It is tried again." in shown and shown.count("fails") == 1
