"""`invoke alerts`, `notify-test` and `test-alerts`, without Docker."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from stack.alertmanager.client import FiringAlert, Silence
from stack.errors import AlertError
from stack.run import alert as module
from stack.run.alert import AlertRequest, handle_alerts
from stack.run.alert_check import _explain
from stack.run.notify import _FAILURE

HOT = FiringAlert({"alertname": "hot", "severity": "warning", "sensor": "oven"}, "oven is hot", "2026-11-29T05:00:00Z")
SILENCE = Silence("s1", {"alertname": "hot"}, "2026-11-29T06:00:00Z", "ann", "known")


class Alertmanager:
    """Has one alert, and keeps what it is told."""

    def __init__(self, *, is_silenced: bool = False) -> None:
        self.is_silenced = is_silenced
        self.told: list[Any] = []

    def list_alerts(self) -> list[FiringAlert]:
        return [replace(HOT, silences=("s1",) if self.is_silenced else ())]

    def list_silences(self) -> list[Silence]:
        return [SILENCE] if self.is_silenced else []

    def add_silence(self, labels: Any, seconds: float, *, by: str, comment: str) -> None:
        self.told.append((dict(labels), seconds, bool(by), comment))

    def end_silence(self, silence: Silence) -> None:
        self.told.append(silence.id)


def open_alertmanager(monkeypatch: pytest.MonkeyPatch, *, is_silenced: bool = False) -> Alertmanager:
    alertmanager = Alertmanager(is_silenced=is_silenced)
    monkeypatch.setattr(module, "open_stack", lambda: SimpleNamespace(alerts=[SimpleNamespace(name="known")]))
    monkeypatch.setattr(module, "find_alertmanager", lambda _: alertmanager)
    return alertmanager


def test_what_fires_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    open_alertmanager(monkeypatch, is_silenced=True)
    handle_alerts(AlertRequest(), as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "hot" in shown and "sensor=oven" in shown and "known (ann)" in shown
    handle_alerts(AlertRequest(name="other"), as_json=False)
    assert "Nothing fires." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (AlertRequest("acknowledge", "hot"), ({"alertname": "hot"}, 86400, True, "acknowledged")),
        (AlertRequest("silence", "known", duration="30m", comment="x"), ({"alertname": "known"}, 1800, True, "x")),
        (AlertRequest("silence", "", {"sensor": "a"}), ({"sensor": "a"}, 7200, True, "silenced")),
    ],
)
def test_people_are_told_no_more(monkeypatch: pytest.MonkeyPatch, request_: AlertRequest, told: object) -> None:
    alertmanager = open_alertmanager(monkeypatch)
    handle_alerts(request_, as_json=False)
    assert alertmanager.told == [told]


def test_people_are_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    alertmanager = open_alertmanager(monkeypatch, is_silenced=True)
    handle_alerts(AlertRequest("unsilence", "hot"), as_json=False)
    assert alertmanager.told == ["s1"]
    with pytest.raises(AlertError, match="Nothing is silenced with other"):
        handle_alerts(AlertRequest("unsilence", "other"), as_json=False)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (AlertRequest("mute"), "mute: should be silence, acknowledge or unsilence"),
        (AlertRequest("silence"), "Say which"),
        (AlertRequest("silence", "hto"), "No alert fires with hto"),
        (AlertRequest("acknowledge", "known"), "No alert fires with known"),
        (AlertRequest("silence", "hot", duration="soon"), "--duration soon: should be such as 30m"),
    ],
)
def test_mistakes(monkeypatch: pytest.MonkeyPatch, request_: AlertRequest, problem: str) -> None:
    alertmanager = open_alertmanager(monkeypatch)
    with pytest.raises(AlertError, match=problem):
        handle_alerts(request_, as_json=False)
    assert not alertmanager.told


@pytest.mark.parametrize(
    ("output", "problems"),
    [
        (
            '2026-11-29T05:02:22.574Z\tfatal\tVictoriaMetrics/app/vmalert/main.go:115\tfailed to parse "[r.yaml]": '
            'failed to parse [r.yaml]: errors(1): invalid group "hot" in file "r.yaml": invalid expression for rule  '
            '"hot": bad',
            ['alerts/hot.yaml: invalid expression for rule  "hot": bad'],
        ),
        ("no such file", ["alerts/: no such file"]),
    ],
)
def test_what_vmalert_says_names_the_file(output: str, problems: list[str]) -> None:
    assert list(_explain(output)) == problems


@pytest.mark.parametrize(
    "line",
    [
        'time=2026-11-29T05:02:22.574Z level=WARN source=notify.go:866 msg="Notify attempt failed, will retry later" '
        'component=dispatcher receiver=mail integration=email[0] attempts=1 err="dial: refused"',
        'time=2026-11-29T05:02:22.574Z level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" '
        'component=dispatcher num_alerts=1 err="mail/email[0]: dial: refused"',
    ],
)
def test_failures_of_a_channel_are_found_in_the_log(line: str) -> None:
    (found,) = re.finditer(_FAILURE.format(channel="mail"), f"other\n{line}\n", re.MULTILINE)
    assert found["reason"] == "dial: refused"
    assert not re.search(_FAILURE.format(channel="ma"), line)
