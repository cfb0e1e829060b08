"""How many containers run: as written, as asked for, and within bounds."""

from typing import Any

import pytest

from stack.plan.scale import Limits, choose_replicas, find_limits
from tests.unit.plan.samples import make_plan

# What comes from the clock, or from a broker elsewhere, wakes no one.
CLOCK: dict[str, Any] = {"triggers": {"tick": {"kind": "cron", "attributes": {"interval": "1m"}}}}
ELSEWHERE = {
    "triggers": {"far": {"kind": "mqtt", "url": "mqtt://h:1", "attributes": {"subscriptions": [{"topic": "a"}]}}}
}
SECRET = {"triggers": {"far": {"kind": "rabbit-mq", "secret": "far", "attributes": {"queueName": "q"}}}}
DISABLED = {"triggers": {"tick": CLOCK["triggers"]["tick"] | {"disabled": True}, "web": {"kind": "http"}}}


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        ({}, Limits(0, 100, is_automatic=False)),
        ({"replicas": 3}, Limits(0, 100, is_automatic=False)),
        ({"minReplicas": 2}, Limits(2, 2, is_automatic=False)),
        ({"minReplicas": 0, "maxReplicas": 4}, Limits(0, 4, is_automatic=True)),
        (CLOCK | {"minReplicas": 0, "maxReplicas": 4}, Limits(1, 4, is_automatic=True)),
        (CLOCK | {"minReplicas": 0, "maxReplicas": 1}, Limits(1, 1, is_automatic=False)),
        (ELSEWHERE | {"minReplicas": 0, "maxReplicas": 4}, Limits(1, 4, is_automatic=True)),
        (SECRET | {"minReplicas": 0, "maxReplicas": 4}, Limits(1, 4, is_automatic=True)),
        (DISABLED | {"minReplicas": 0, "maxReplicas": 4}, Limits(0, 4, is_automatic=True)),
        ({"minReplicas": 0, "maxReplicas": 4, "disable": True}, Limits(0, 0, is_automatic=False)),
    ],
)
def test_limits(spec: dict[str, Any], limits: Limits) -> None:
    assert find_limits(make_plan(**spec).spec) == limits


@pytest.mark.parametrize(
    ("spec", "kept", "number"),
    [
        ({}, None, 1),
        ({}, 5, 5),
        ({}, 0, 0),
        ({"replicas": 3}, None, 3),
        ({"minReplicas": 0, "maxReplicas": 4}, None, 1),
        ({"minReplicas": 0, "maxReplicas": 4}, 0, 0),
        ({"minReplicas": 2, "maxReplicas": 4}, 9, 4),
        ({"minReplicas": 2, "maxReplicas": 4}, 0, 2),
        ({"disable": True}, 3, 0),
    ],
)
def test_number_of_containers(spec: dict[str, Any], kept: int | None, number: int) -> None:
    assert choose_replicas(make_plan(**spec).spec, kept) == number
