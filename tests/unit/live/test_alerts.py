"""What the page of alerts is told."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from stack.alertmanager.client import FiringAlert, Silence
from stack.config.alert import Alert, AlertConfig
from stack.config.data import Data
from stack.config.document import parse_model
from stack.errors import AlertError, DataError, EngineError
from stack.live import alerts as module
from stack.live.alerts import AlertsSource
from stack.run.notify import ChannelFailure
from stack.victoriametrics.client import Series

HOT = Alert("hot", parse_model(AlertConfig, {"when": "temperature > 30"}, name=""))
SILENCE = Silence("s1", {"alertname": "hot", "sensor": "hall"}, "2026-11-29T08:00:00Z", "ann", "on my way")


def make_alert(sensor: str, *silences: str, **labels: str) -> FiringAlert:
    found = {"alertname": "hot", "alertgroup": "hot", "severity": "warning", "sensor": sensor, **labels}
    return FiringAlert(found, f"{sensor} is hot", "2026-11-29T06:00:00Z", silences)


@dataclass
class World:
    """An Alertmanager and a store."""

    alerts: list[FiringAlert] = field(default_factory=list)
    problem: str = ""
    queries: list[str] = field(default_factory=list)
    has_alertmanager: bool = True
    is_store_there: bool = True

    def stack(self) -> Any:
        bare = SimpleNamespace(has_alertmanager=self.has_alertmanager, has_vmalert=True)
        settings = SimpleNamespace(data=parse_model(Data, {"keep": [{"topic": "#"}]}, name=""))
        return SimpleNamespace(bare_inputs=bare, settings=settings, alerts=[HOT], inputs=SimpleNamespace(services=()))

    def list_alerts(self) -> list[FiringAlert]:
        if self.problem:
            raise AlertError(self.problem)
        return self.alerts

    def list_silences(self) -> list[Silence]:
        return [SILENCE]

    def query_range(self, text: str, start: float, *_: float) -> list[Series]:
        self.queries.append(text)
        if not self.is_store_there:
            raise DataError("It is away.")
        return [Series({}, [start, start + 120], [1.0, 2.0])]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(module, "find_alertmanager", lambda _: world)
    monkeypatch.setattr(module, "find_store", lambda _, **__: world)
    failure = ChannelFailure("mail", 0.0, "refused")
    monkeypatch.setattr(module, "find_failing_channels", lambda _: {"mail": failure})
    monkeypatch.setattr(module, "fetch_rule_problems", lambda _: {"hot": "duplicates"})
    return world


def look(world: World, source: AlertsSource | None = None) -> Mapping[str, Any]:
    return asyncio.run((source or AlertsSource(world.stack)).look())


def test_alerts_come_with_chart_and_silence(world: World) -> None:
    world.alerts = [make_alert("oven"), make_alert("hall", "s1"), make_alert("oven", tidegate_escalation="yes")]
    source = AlertsSource(world.stack)
    found = look(world, source)
    oven, hall = found["alerts"]
    assert (oven["own_labels"], oven["silence"], oven["is_escalated"]) == ({"sensor": "oven"}, None, True)
    assert hall["silence"]["comment"] == "on my way" and not hall["is_escalated"]
    # What is missing between two readings leaves room.
    assert oven["points"][:4] == [1.0, None, 2.0, None] and '"sensor", "oven"' in oven["query"]
    assert (found["count"], found["names"]) == (2, {"hot": 2})
    assert (found["failing"], found["rules"]) == ({"mail": "refused"}, {"hot": "duplicates"})
    assert found["silences"][0]["names"] == ["hot", "sensor=hall"]
    # Charts are not read again at each look.
    look(world, source)
    assert len(world.queries) == 2


def test_alerts_of_the_stack_itself_have_charts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Alert("stack-queue-grows", parse_model(AlertConfig, {"expr": "messages > 100"}, name=""))
    monkeypatch.setattr(module, "list_stack_alerts", lambda *_: [own])
    labels = {"alertname": own.name, "severity": "warning", "queue": "iot/logs"}
    world.alerts = [FiringAlert(labels, "It grows.", "2026-11-29T06:00:00Z")]
    (row,) = look(world)["alerts"]
    assert row["query"] == 'label_match(messages > 100, "queue", "iot/logs")'


def test_a_flood_is_cut(world: World) -> None:
    world.alerts = [make_alert(f"s{number}") for number in range(1000)]
    found = look(world)
    assert (found["count"], len(found["alerts"]), len(world.queries)) == (1000, 50, 20)


def test_a_test_of_a_channel_is_no_alert(world: World) -> None:
    world.alerts = [make_alert("x", tidegate_channel="mail")]
    assert look(world)["alerts"] == []


def test_alerts_are_seen_without_the_store(world: World) -> None:
    world.alerts, world.is_store_there = [make_alert(f"s{number}") for number in range(20)], False
    assert [one["points"] for one in look(world)["alerts"]] == [()] * 20
    # It is not asked for each of them: it may take its time to say nothing.
    assert len(world.queries) == 1
    assert all(one["query"] for one in look(world)["alerts"])


def test_alerts_are_seen_without_docker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise EngineError("Docker does not answer.")

    monkeypatch.setattr(module, "find_failing_channels", fail)
    world.alerts = [make_alert("oven")]
    found = look(world)
    assert (found["problem"], found["count"], found["failing"]) == ("", 1, {})


def test_charts_together_have_little_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def find_store(_: Any, *, timeout: float) -> World:
        given.append(timeout)
        time.sleep(0.15)
        return world

    monkeypatch.setattr(module, "find_store", find_store)
    monkeypatch.setattr(module, "_PATIENCE", 0.4)
    world.alerts = [make_alert(f"s{number}") for number in range(20)]
    assert len(look(world)["alerts"]) == 20
    assert len(given) <= 3 and given == sorted(given, reverse=True) and all(left <= 0.4 for left in given)


def test_what_is_wrong_is_told(world: World) -> None:
    world.problem = "alertmanager does not answer."
    assert look(world)["problem"] == "alertmanager does not answer."
    world.has_alertmanager = False
    assert look(world) == {"is_there": False}
