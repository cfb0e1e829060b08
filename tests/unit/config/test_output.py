"""spec.outputs: where a function sends what it makes."""

from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig, Spec
from stack.errors import ConfigError


def parse(outputs: dict[str, Any], **spec: Any) -> Spec:
    return parse_model(FunctionConfig, {"spec": {"outputs": outputs, **spec}}, name="function.yaml").spec


def refuse(outputs: dict[str, Any], **spec: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse(outputs, **spec)
    return [problem.removeprefix("function.yaml: spec.") for problem in error.value.problems]


def test_each_kind_is_read() -> None:
    spec = parse(
        {
            "alerts": {"kind": "rabbit-mq", "exchange": "iot/alerts", "routingKey": "high"},
            "logs": {"kind": "rabbitMq", "queue": "iot/logs", "durable": False},
            "command": {"kind": "mqtt", "topic": "plant/{id}/cmd", "qos": 0},
            "hook": {"kind": "http", "url": "https://hooks.example/x", "secret": "hook.token"},
            "scores": {"kind": "function", "name": "scorer"},
        },
        onSuccess="alerts",
    )
    assert spec.outputs["command"].placeholders == ("id",)
    assert spec.on_success == "alerts"


def test_all_mistakes_are_told_at_once_with_their_paths() -> None:
    problems = refuse(
        {
            "both": {"kind": "rabbit-mq", "exchange": "a", "queue": "b"},
            "neither": {"kind": "rabbit-mq"},
            "odd": {"kind": "mqtt", "topic": "plant/{id/cmd", "qos": 2, "retain": "yes, please"},
            "kafka": {"kind": "kafka"},
            "mttq": {"kind": "mttq", "topic": "a"},
            "hook": {"kind": "http", "url": "ftp://x", "secret": "token", "methd": "PUT"},
            "1e": {"kind": "http", "url": "x"},
            "quorum": {"kind": "rabbit-mq", "queue": "q", "durable": False, "queueType": "quorum"},
        }
    )
    told = "\n".join(problems)
    for text in (
        "outputs.both.queue: an output has an exchange or a queue, not both",
        "outputs.neither: needs an exchange, with a routingKey, or a queue",
        "outputs.odd.topic: should have placeholders such as plant/{id}/cmd",
        "outputs.odd.qos: should be 0 or 1, not 2: RabbitMQ has no other",
        "outputs.odd.retain: should be true or false",
        "outputs.kafka: there is no kind of output 'kafka'; kinds: rabbit-mq, mqtt, http, function",
        "outputs.mttq: there is no kind of output 'mttq'; did you mean 'mqtt'?",
        "outputs.hook.url: should begin with http:// or https://",
        "outputs.hook.secret: should be NAME.KEY",
        "outputs.hook.methd: is not a known key; did you mean 'method'?",
        "outputs.1e: should be a name as Python has them",
        "outputs.1e.url: should begin with http:// or https://",
        "outputs.quorum.queueType: a quorum queue is durable",
    ):
        assert text in told


@pytest.mark.parametrize("name", ["1st", "class", "_private", "with-dash"])
def test_a_name_is_one_that_a_handler_can_write(name: str) -> None:
    (problem,) = refuse({name: {"kind": "mqtt", "topic": "a"}})
    assert f"outputs.{name}: should be a name as Python has them" in problem


def test_the_answer_goes_to_an_output_that_is_there_and_needs_no_values() -> None:
    assert "did you mean 'alerts'?" in refuse({"alerts": {"kind": "mqtt", "topic": "a"}}, onSuccess="alert")[0]
    assert "spec.outputs has none" in refuse({}, onSuccess="alert")[0]
    (problem,) = refuse({"command": {"kind": "mqtt", "topic": "a/{id}"}}, onSuccess="command")
    assert "needs a value for {id}" in problem
