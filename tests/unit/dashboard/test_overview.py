from typing import Any

import pytest

from stack.config.function import FunctionConfig
from stack.dashboard.pages.overview import Stat, Trouble, find_troubles, sum_up
from stack.run.catalogue import FunctionRecord


def _make(name: str, **given: Any) -> FunctionRecord:
    nothing: dict[str, Any] = {
        "project": "default", "namespace": "nuclio", "config": FunctionConfig(), "handler": "", "triggers": {},
        "files": (), "source": "", "source_path": "", "problem": "", "state": "ready", "message": "",
        "attempts": (), "replicas": 1, "ready": 1,
    }  # fmt: skip
    return FunctionRecord(name=name, **nothing | given)


def test_nothing_is_wrong_with_what_is_ready() -> None:
    assert find_troubles([_make("fine")], {"problems": []}, {"fine": {"dead": 0}}) == []


def test_function_that_a_service_complains_of_is_named_once() -> None:
    stack = {"problems": [{"subject": "ill", "what": "is unhealthy.", "next": "`invoke logs ill` shows more."}]}
    (trouble,) = find_troubles([_make("ill", state="unhealthy")], stack, {})
    assert trouble == Trouble("ill", "is unhealthy.", "`invoke logs ill` shows more.", "/functions/ill/logs")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"state": "error", "message": "The build failed."}, "The build failed."),
        ({"state": "error", "problem": "functions/a: no handler"}, "functions/a: no handler"),
    ],
)
def test_function_that_failed_leads_to_its_code(given: dict[str, Any], what: str) -> None:
    (trouble,) = find_troubles([_make("a", **given)], {}, {})
    assert (trouble.what, trouble.address) == (what, "/functions/a/code")


def test_dead_letters_lead_to_where_they_are_seen_to() -> None:
    (trouble,) = find_troubles([_make("a")], {}, {"a": {"dead": 1}})
    assert trouble.what == "could not handle 1 message."
    assert (trouble.address, trouble.level) == ("/functions/a/dead-letters", "warn")


def test_handlers_that_fail_or_are_stuck_are_told() -> None:
    told = {"busy_seconds": 312.0, "stuck_workers": 1, "recent_events": 50, "recent_failures": 35}
    stuck, failing = find_troubles([_make("a")], {}, {"a": told})
    assert (stuck.what, stuck.level) == ("a worker has been at one event for 5 min.", "warn")
    assert (failing.what, failing.address) == ("35 of its last 50 events failed.", "/functions/a/logs")
    assert find_troubles([_make("a")], {}, {"a": told | {"stuck_workers": 0, "recent_failures": 2}}) == []


def test_each_bridge_has_a_figure() -> None:
    runs = {"name": "hq", "messages": 3, "oldest": None, "running": True}
    stopped = {"name": "b", "messages": 120, "oldest": 7300.0, "running": False}
    known = {"stack": {"services": [], "problems": [], "bridges": [runs, stopped]}, "functions": {}, "broker": None}
    assert sum_up(known)[-2:] == [
        Stat("bridge-hq", "Bridge hq", "runs", note="3 waiting"),
        Stat("bridge-b", "Bridge b", "stopped", "error", "120 waiting for 2 h"),
    ]
