"""What a file says is written again; what says nothing is not."""

from typing import Any

import pytest

from stack.config.document import parse_model, write_compact
from stack.config.function import FunctionConfig


def written(spec: dict[str, Any]) -> Any:
    return write_compact(parse_model(FunctionConfig, {"spec": spec}, name="function.yaml")).get("spec", {})


@pytest.mark.parametrize(
    "spec",
    [
        {"minReplicas": 0, "maxReplicas": 1},
        {"securityContext": {"runAsUser": 0}},
        {"triggers": {"t": {"kind": "rabbit-mq", "attributes": {"requeueOnError": False, "durableQueue": True}}}},
        {"triggers": {"t": {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 0}}},
        {"volumes": [{"volume": {"name": "a", "emptyDir": {}}, "volumeMount": {"name": "a", "mountPath": "/a"}}]},
        {"build": {"args": {"EMPTY": ""}, "commands": ["", "a"]}},
        {"runtime": "python"},
    ],
)
def test_what_says_something_is_kept(spec: dict[str, Any]) -> None:
    assert written(spec) == spec


@pytest.mark.parametrize(
    "spec",
    [
        {"platform": {}, "eventTimeout": "", "disable": False},
        {"build": {"directives": {}, "commands": []}},
        {"env": None},
    ],
)
def test_what_says_nothing_is_left_out(spec: dict[str, Any]) -> None:
    assert written(spec) == {}


def test_a_kind_comes_first_and_keys_are_spelled_as_nuclio_spells_them() -> None:
    trigger = written({"TRIGGERS": {"t": {"NumWorkers": 2, "url": "amqp://a", "Kind": "rabbit-mq"}}})["triggers"]["t"]
    assert list(trigger) == ["kind", "numWorkers", "url"]
