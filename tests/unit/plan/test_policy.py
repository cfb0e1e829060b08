"""The broker's policies: one alone applies to each queue, and it is the right one."""

import json
import re
from typing import Any

import pytest

from stack.config.settings import Settings
from stack.plan.broker import policies


def find_policy(queue: str, kind: str, settings: Settings) -> dict[str, Any]:
    """Return the definition of the policy that RabbitMQ applies to a queue."""
    found = [one for one in json.loads(policies(settings))["policies"] if one["apply-to"] == f"{kind}_queues"]
    matching = [one for one in found if re.search(one["pattern"], queue)]
    definition: dict[str, Any] = max(matching, key=lambda one: one["priority"])["definition"]
    return definition


@pytest.mark.parametrize("kind", ["quorum", "classic"])
@pytest.mark.parametrize(
    ("queue", "overflow", "megabytes", "days"),
    [
        ("iot/sensors", "reject-publish", 7, 0),
        ("iot/sensors.retry.5000ms", "reject-publish", 7, 0),
        ("iot/sensors.dead", "drop-head", 3, 2),
        ("dead", "reject-publish", 7, 0),
        ("x.deadline", "reject-publish", 7, 0),
        ("mqtt-subscription-meterqos1", "drop-head", 7, 0),
        ("amq.gen-abc", "drop-head", 7, 0),
        ("iot/logs", "drop-head", 7, 0),
        ("iot/alerts", "drop-head", 7, 0),
        ("iot/alerts.dead", "drop-head", 3, 2),
        ("iot/logs/mine", "reject-publish", 7, 0),
    ],
)
def test_a_queue_is_bounded(queue: str, overflow: str, megabytes: int, days: int, kind: str) -> None:
    settings = Settings.model_validate({"queue": {"megabytes": 7}, "dead_letters": {"megabytes": 3, "days": 2}})
    found = find_policy(queue, kind, settings)
    assert (found["overflow"], found["max-length-bytes"]) == (overflow, megabytes * 1_000_000)
    assert found.get("message-ttl", 0) == days * 86_400_000
    # A classic queue knows no limit of deliveries, and takes no policy that has one.
    assert ("delivery-limit" in found) == (kind == "quorum")


def test_names_are_unique() -> None:
    names = [one["name"] for one in json.loads(policies(Settings()))["policies"]]
    assert len(set(names)) == len(names) == 8


def test_queues_of_the_example_hold_little() -> None:
    assert find_policy("iot/logs", "classic", Settings())["max-length-bytes"] == 10_000_000
