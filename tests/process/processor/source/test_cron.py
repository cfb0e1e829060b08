"""Cron: when it is due, and what the handler gets."""

import json
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import pytest

from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.source.cron import CronDelivery, CronSource
from stack.processor.source.schedule import read_schedule
from tests.process.processor.conftest import Start
from tests.process.processor.running import AT_ONCE, wait_for

ROME = ZoneInfo("Europe/Rome")


def find_next(after: datetime, **attributes: Any) -> datetime:
    schedule = read_schedule(Attributes("a", attributes))
    return datetime.fromtimestamp(schedule.find_next(after.timestamp()), after.tzinfo)


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("*/5 * * * *", "2026-01-31T10:15:00"),
        ("30 */5 * * * *", "2026-01-31T10:15:30"),
        ("* 20 * * * *", "2026-01-31T10:20:00"),
        ("@hourly", "2026-01-31T11:00:00"),
        ("@daily", "2026-02-01T00:00:00"),
        ("@weekly", "2026-02-01T00:00:00"),
        ("@monthly", "2026-02-01T00:00:00"),
        ("@yearly", "2027-01-01T00:00:00"),
        ("0 9 ? * MON-FRI", "2026-02-02T09:00:00"),
        ("TZ=America/New_York 0 6 * * *", "2026-01-31T12:00:00"),
        ("CRON_TZ=Asia/Tokyo 30 18 * * *", "2026-01-31T10:30:00"),
    ],
)
def test_line_is_due(line: str, due: str) -> None:
    after = datetime(2026, 1, 31, 10, 12, 7, tzinfo=ROME)
    assert find_next(after, schedule=line, timezone="Europe/Rome").replace(tzinfo=None).isoformat() == due


def test_hour_that_summer_time_leaves_out_is_not_missed() -> None:
    after = datetime(2026, 3, 28, 12, tzinfo=ROME)
    found = find_next(after, schedule="30 2 * * *", timezone="Europe/Rome")
    assert found.isoformat() == "2026-03-29T03:00:00+02:00"


@pytest.mark.parametrize(("line", "second"), [("0 30 2 * * *", "00"), ("15 30 2 * * *", "15")])
def test_line_with_seconds_runs_once_on_days_of_23_and_25_hours(line: str, second: str) -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=ROME), datetime(2026, 10, 24, 12, tzinfo=ROME)
    find = partial(find_next, schedule=line, timezone="Europe/Rome")
    assert find(spring).isoformat() == f"2026-03-29T03:00:{second}+02:00"
    assert find(find(autumn)).isoformat() == f"2026-10-26T02:30:{second}+01:00"


def test_start_in_the_second_turn_of_an_hour_finds_nothing_of_its_first_turn() -> None:
    after = datetime(2026, 10, 25, 2, 10, tzinfo=ROME, fold=1)
    found = find_next(after, schedule="30 2 * * *", timezone="Europe/Rome")
    assert found.isoformat() == "2026-10-26T02:30:00+01:00"


@pytest.mark.parametrize("attributes", [{"interval": "1500ms"}, {"schedule": "@every 1.5s"}])
def test_interval_keeps_to_its_grid(attributes: dict[str, str]) -> None:
    schedule = read_schedule(Attributes("a", attributes))
    start = schedule.find_next(schedule.now())
    assert schedule.find_next(start) - start == pytest.approx(1.5)
    assert schedule.find_next(start + 3.7) - start == pytest.approx(4.5)


def test_interval_wins_over_schedule() -> None:
    schedule = read_schedule(Attributes("a", {"interval": "2s", "schedule": "@yearly"}))
    assert schedule.find_next(schedule.now()) - schedule.now() <= 2.0


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "a: needs a schedule, such as '*/5 * * * *', or an interval"),
        ({"schedule": "61 * * * *"}, "a.schedule: '61 * * * *': Bad minute"),
        ({"schedule": "* *"}, "a.schedule: '* *': Wrong number of fields"),
        ({"schedule": "@every soon"}, "a.schedule: '@every soon': "),
        ({"schedule": "@hourly", "timezone": "Mars/Base"}, "there is no time zone 'Mars/Base'"),
        ({"interval": "often"}, "a.interval: "),
    ],
)
def test_malformed_schedule_is_explained(attributes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        read_schedule(Attributes("a", attributes))
    assert message in str(found.value)


def read_events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_event_has_every_attribute_and_comes_without_drift(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    event = {"body": '{"a": 1}', "headers": {"Kind": "tick", "n": 3}}
    trigger = {"kind": "cron", "numWorkers": 4, "attributes": {"interval": "200ms", "event": event}}
    start("collect", triggers={"clock": trigger}, env=[{"name": "OUTPUT", "value": str(output)}])
    events = wait_for(lambda: len(read_events(output)) > 13 and read_events(output))
    first = events[0]
    assert (first["body"], first["headers"], first["path"], first["method"]) == (
        '{"a": 1}', {"Kind": "tick", "n": "3"}, "/", "",
    )  # fmt: skip
    assert (first["content_type"], first["timestamp"], first["url"]) == ("", "1970-01-01 00:00:00", "")
    assert (first["trigger"], first["worker"], first["size"]) == (["cron", "clock"], "0", 8)
    assert len({event["id"] for event in events}) == len(events)
    # Other work on the machine delays single ones, or has them left out; a drift would show in all that come later.
    times = [event["began"] for event in events]
    off = [(later - earlier + 0.1) % 0.2 - 0.1 for earlier in times[:4] for later in times[-4:]]
    assert min(map(abs, off)) < 0.05


def test_runs_never_overlap_and_missed_ones_are_one(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    trigger = {"kind": "cron", "attributes": {"interval": "100ms", "event": {"body": "sleep 0.35"}}}
    processor = start("collect", triggers={"clock": trigger}, env=[{"name": "OUTPUT", "value": str(output)}])

    def measure_gaps() -> list[float]:
        return [later["began"] - earlier["began"] for earlier, later in pairwise(read_events(output))]

    wait_for(lambda: len(measure_gaps()) >= 3)
    # Other work on the machine makes single ones longer.
    wait_for(lambda: min(measure_gaps()) < 0.6)
    assert all(gap > 0.34 for gap in measure_gaps())
    assert processor.stop() < AT_ONCE


def test_failing_run_is_followed_by_the_next(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    trigger = {"kind": "cron", "attributes": {"schedule": "@every 100ms", "event": {"body": "fail it"}}}
    processor = start("collect", triggers={"clock": trigger}, env=[{"name": "OUTPUT", "value": str(output)}])
    wait_for(lambda: len(read_events(output)) >= 3)
    assert "cannot do it" in processor.log


def test_crontab_line_with_seconds_fires(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    trigger = {"kind": "cron", "attributes": {"schedule": "*/1 * * * * *"}}
    start("collect", triggers={"clock": trigger}, env=[{"name": "OUTPUT", "value": str(output)}])
    # Other work on the machine delays single ones.
    wait_for(lambda: sum(event["began"] % 1 < 0.2 for event in read_events(output)) >= 2)


class SetBackClock:
    """A clock on which a minute passes with each look, and which is set back once, so many hours after its start."""

    def __init__(self, start: float, wrong_hours: float, back_hours: float) -> None:
        self._now = start
        self._wrong_until = start + wrong_hours * 3600
        self._back = back_hours * 3600

    def __call__(self) -> float:
        self._now += 60
        if self._back and self._now > self._wrong_until:
            self._now, self._back = self._now - self._back, 0.0
        return self._now


@pytest.mark.parametrize(("back_hours", "hours"), [(24.0, [1, 2, -21, -20]), (1.0, [1, 2, 3, 4])])
def test_runs_go_on_when_a_wrong_clock_is_set_back(
    back_hours: float, hours: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due is not run twice where it is set back a little."""
    start, fired = 1_800_000_000.0, list[float]()
    source = CronSource(
        Mock(attributes=Attributes("a", {"schedule": "0 * * * *"})), Mock(broker_url=""), intake := Mock(), Mock()
    )
    monkeypatch.setattr("stack.processor.source.cron._LONGEST_WAIT", 0.0)
    clock = source._schedule.now = SetBackClock(start, 2.5, back_hours)

    def run(delivery: CronDelivery) -> None:
        fired.append(clock())
        delivery.is_over.set()
        if len(fired) == len(hours):
            source.stop()

    intake.put = run
    source._run()
    assert [round((moment - start) / 3600) for moment in fired] == hours


@pytest.mark.parametrize("kind", ["nats", "kafka-cluster"])
def test_kind_that_is_not_there_yet_is_refused(start: Start, kind: str) -> None:
    processor = start("echo", ready=False, triggers={"t": {"kind": kind}})
    assert processor.wait_for_end() == 1
    assert f"spec.triggers.t.kind: kind {kind!r} is not supported yet; supported: http, rabbit-mq, mqtt, cron" in (
        processor.log
    )
