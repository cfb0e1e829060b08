"""`invoke alerts`, `notify-test` and `test-alerts`, without Docker."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack.alertmanager.client import FiringAlert, Silence
from stack.config.notify import Notify
from stack.docker.stack import open_stack
from stack.errors import AlertError, ConfigError
from stack.run import alert as module
from stack.run import notify as notify_module
from stack.run.alert import AlertRequest, handle_alerts
from stack.run.alert_check import _explain
from stack.run.notify import find_failing_channels
from stack.state.workspace import Workspace

HOT = FiringAlert({"alertname": "hot", "severity": "warning", "sensor": "oven"}, "oven is hot", "2026-11-29T05:00:00Z")
INPUTS = SimpleNamespace(has_vmalert=True)
SILENCE = Silence("s1", {"alertname": "hot"}, "2026-11-29T06:00:00Z", "ann", "known")


class Alertmanager:
    """Has one alert, and keeps what it is told."""

    def __init__(self, *, is_silenced: bool = False) -> None:
        self.is_silenced = is_silenced
        self.told: list[Any] = []

    def list_alerts(self) -> list[FiringAlert]:
        hot = replace(HOT, silences=("s1",) if self.is_silenced else ())
        return [
            hot,
            *(replace(hot, labels={**HOT.labels, f"tidegate_{name}": "x"}) for name in ("escalation", "channel")),
        ]

    def list_silences(self) -> list[Silence]:
        return [SILENCE] if self.is_silenced else []

    def add_silence(self, labels: Any, seconds: float, *, by: str, comment: str) -> None:
        self.told.append((dict(labels), seconds, bool(by), comment))

    def end_silence(self, silence: Silence) -> None:
        self.told.append(silence.id)


def open_alertmanager(monkeypatch: pytest.MonkeyPatch, *, is_silenced: bool = False) -> Alertmanager:
    alertmanager = Alertmanager(is_silenced=is_silenced)
    monkeypatch.setattr(
        module, "open_stack", lambda: SimpleNamespace(alerts=[SimpleNamespace(name="known")], bare_inputs=INPUTS)
    )
    monkeypatch.setattr(module, "fetch_rule_problems", lambda _: {"odd": "duplicates"})
    monkeypatch.setattr(module, "find_alertmanager", lambda _: alertmanager)
    monkeypatch.setattr(module, "print_failing_channels", lambda _: None)
    return alertmanager


def test_what_fires_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    open_alertmanager(monkeypatch, is_silenced=True)
    handle_alerts(AlertRequest(), as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("oven is hot") == 1 and "sensor=oven" in shown and "known (ann)" in shown
    handle_alerts(AlertRequest("known"), as_json=False)
    said = capsys.readouterr().err
    assert "Nothing fires." in said and "odd cannot be calculated: duplicates" in said


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (AlertRequest("acknowledge", "hot"), (dict(HOT.labels), 86400, True, "acknowledged")),
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
        (AlertRequest("mute", "hot"), "mute: should be silence, acknowledge, unsilence"),
        (AlertRequest("hto"), "There is no alert hto; there are known. Else say silence"),
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
        (
            '2026-11-29T08:04:33.650Z\tfatal\tVictoriaMetrics/app/vmalert/main.go:115\tfailed to parse "[r.yaml]": '
            'errors(2): invalid group "hot" in file "r.yaml": unexpected token ""; want "("; unparsed data: ""\n'
            'invalid group "cold" in file "r.yaml": unexpected token ">"',
            [
                'alerts/hot.yaml: unexpected token ""; want "("; unparsed data: ""',
                'alerts/cold.yaml: unexpected token ">"',
            ],
        ),
        ("2026-11-29T08:04:33.650Z\tfatal\tmain.go:115\tno rules", ["alerts/: no rules"]),
        ("no such file", ["alerts/: no such file"]),
    ],
)
def test_what_vmalert_says_names_the_file(output: str, problems: list[str]) -> None:
    assert list(_explain(output)) == problems


FAILED = (
    'time={} level=WARN source=notify.go:866 msg="Notify attempt failed, will retry later" component=dispatcher '
    'receiver=mail integration=email[0] aggrGroup="{{}}:{{alertname=\\"hot\\"}}" attempts=1 err="dial: \\"x\\" refused"'
)
ENDED = (
    'time={} level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" component=dispatcher num_alerts=1 '
    'err="mail/email[0]: notify retry canceled after 7 attempts: dial: refused"'
)
# As releases before 0.28 write it.
OLDER = (
    "ts={} caller=notify.go:745 level=warn component=dispatcher receiver=mail integration=email[0] "
    'msg="Notify attempt failed, will retry later" attempts=1 err="dial: refused"'
)
TESTED = FAILED.replace("receiver=mail", "receiver=mail/test")
WORKED = (
    'time={} level=INFO source=notify.go:872 msg="Notify success" component=dispatcher receiver=mail '
    "integration=email[0] attempts=2 duration=1.2ms"
)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((FAILED,), 'dial: "x" refused'),
        ((ENDED,), "notify retry canceled after 7 attempts: dial: refused"),
        ((OLDER,), "dial: refused"),
        ((TESTED,), 'dial: "x" refused'),
        ((FAILED, WORKED), None),
        ((WORKED, FAILED), 'dial: "x" refused'),
    ],
)
def test_channels_that_fail_are_found_in_the_log(
    monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...], reason: str | None
) -> None:
    stack: Any = SimpleNamespace(
        settings=SimpleNamespace(notify=Notify.model_validate({"channels": {"mail": {"webhook": {"url": "http://x"}}}}))
    )
    for at in (time.time(), time.time() - 3600):
        when = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
        log = "\n".join(["other", *(line.format(when) for line in lines)])
        monkeypatch.setattr(notify_module, "_read_log", lambda _, log=log: log)
        found = find_failing_channels(stack)
        expected = {"mail": reason} if reason and time.time() - at < 60 else {}
        assert {name: one.reason for name, one in found.items()} == expected


def test_a_mistake_is_told_once_however_many_functions_there_are(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "functions" / name).mkdir(parents=True)
        (tmp_path / "functions" / name / "main.py").write_text("def handler(context, event):\n    pass\n")
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "hot.yaml").write_text("when: reading > thirty\n")
    (tmp_path / "stack.yaml").write_text("images: {source: debian}\n")
    with pytest.raises(ConfigError) as caught:
        _ = open_stack(Workspace(tmp_path)).undeployed
    (problem,) = caught.value.problems
    assert problem.startswith("alerts/hot.yaml: ")
