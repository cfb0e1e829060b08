"""Triggers that share their workers by workerAllocatorName."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.process.processor.conftest import Start
from tests.process.processor.running import AT_ONCE, wait_for


def read_events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def plan(output: Path, **settings: Any) -> dict[str, Any]:
    """Return a specification with an http and a cron trigger that share one worker."""
    shared = {"workerAllocatorName": "pool", **settings}
    cron = {"kind": "cron", "attributes": {"interval": "300ms", "event": {"body": "sleep 0.1"}}, **shared}
    triggers = {"web": {"kind": "http", **shared}, "clock": cron}
    return {"triggers": triggers, "env": [{"name": "OUTPUT", "value": str(output)}]}


def test_one_worker_serves_all_triggers_one_event_at_a_time(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    processor = start("collect", **plan(output))
    assert len(processor.workers()) == 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: processor.ask("/x", "sleep 0.1"), range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    wait_for(lambda: {event["trigger"][1] for event in read_events(output)} == {"web", "clock"})
    events = read_events(output)
    assert {tuple(event["trigger"]) for event in events} == {("http", "web"), ("cron", "clock")}
    assert {event["worker"] for event in events} == {"0"}
    began = sorted(event["began"] for event in events)
    assert all(later - earlier > 0.09 for earlier, later in pairwise(began))
    assert processor.stop() < AT_ONCE


def test_first_trigger_says_how_many_workers_there_are(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    processor = start("collect", **plan(output, numWorkers=3))
    assert len(processor.workers()) == 4
