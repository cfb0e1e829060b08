"""What is wrong with a broker that works: alarms, blocked publishers, queues that grow or are full."""

from typing import Any

import pytest

from stack.plan.trouble import find_alarms, find_blocked, find_full, find_growing


def test_alarms_say_what_to_do() -> None:
    quiet = {"mem_alarm": False, "disk_free_alarm": False}
    assert not [*find_alarms([quiet])]
    full = {"disk_free_alarm": True, "disk_free": 600_000_000, "disk_free_limit": 1_000_000_000}
    (trouble,) = find_alarms([full])
    assert trouble.what == "takes no messages: 600 MB of the disk are free, and it wants 1,000 MB."
    assert "docker system df" in trouble.advice
    (trouble,) = find_alarms([{"mem_alarm": True, "mem_used": 500_000_000, "mem_limit": 400_000_000}])
    assert trouble.what == "takes no messages: it uses 500 MB of memory, and is to use 400 MB."


def test_blocked_publishers_are_one_trouble() -> None:
    running = {"name": "x", "state": "running"}
    assert not [*find_blocked([running, {"name": "y", "state": "blocking"}])]
    (trouble,) = find_blocked([running, {"name": "1", "state": "blocked", "user_provided_name": "pump"}])
    assert trouble.what == "1 connection waits to publish: pump."
    (trouble,) = find_blocked([{"name": str(number), "state": "blocked", "user": f"u{number}"} for number in range(5)])
    assert trouble.what == "5 connections wait to publish: u0, u1, u2 and 2 more."


def grow(before: int, now: int, **given: Any) -> dict[str, Any]:
    samples = [{"sample": now, "timestamp": 600_000}, {"sample": before, "timestamp": 0}]
    queue = {"name": "q", "type": "classic", "consumers": 0, "messages": now, "message_bytes": 10 * now}
    return {**queue, "messages_details": {"samples": samples}, **given}


@pytest.mark.parametrize(
    ("queue", "is_told"),
    [
        (grow(0, 1000), True),
        (grow(0, 3, message_bytes=20_000_000), True),
        (grow(0, 999), False),
        (grow(1000, 1000), False),
        (grow(2000, 1000), False),
        (grow(0, 1000, consumers=1), False),
        (grow(0, 1000, name="q.dead"), False),
        (grow(0, 1000, name="q.retry.1000ms"), False),
        (grow(0, 1000, type="stream"), False),
        (grow(0, 1000, exclusive=True), False),
        ({"name": "new"}, False),
    ],
)
def test_a_queue_that_no_one_consumes_is_told_when_it_grows(queue: dict[str, Any], is_told: bool) -> None:
    found = [*find_growing([queue])]
    assert [one.subject for one in found] == (["queue q"] if is_told else [])


def fill(held: int, **given: Any) -> dict[str, Any]:
    policy = {"max-length-bytes": 1_000_000, "overflow": "reject-publish"}
    queue = {"name": "q", "type": "quorum", "consumers": 1, "messages": 1000, "message_bytes_ready": held}
    return {**queue, "effective_policy_definition": policy, **given}


@pytest.mark.parametrize(
    ("queue", "what"),
    [
        (fill(999_000), "is full: 1 MB of 1 MB wait, and the broker refuses more."),
        (
            fill(999_000, effective_policy_definition={"max-length-bytes": 1_000_000, "overflow": "drop-head"}),
            "is full: 1 MB of 1 MB wait, and the oldest go as more come.",
        ),
        (fill(900_000), ""),
        (fill(999_000, effective_policy_definition={}), ""),
        (fill(999_000, name="q.dead"), ""),
        (fill(999_000, name="iot/logs"), ""),
        ({"name": "new"}, ""),
    ],
)
def test_a_full_queue_is_told(queue: dict[str, Any], what: str) -> None:
    assert [one.what for one in find_full([queue])] == ([what] if what else [])


def test_a_full_queue_is_told_once() -> None:
    assert not [
        *find_growing([grow(0, 1000, message_bytes_ready=999, effective_policy_definition={"max-length-bytes": 999})])
    ]
