"""Where messages enter a function."""

from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import Function
from stack.plan.function import complete_function
from stack.plan.message import QueueTarget, fill_wildcards, find_targets
from stack.plan.message import TestMessage as Message
from stack.processor.source.rabbitmq.headers import Origin, sign


def find(**triggers: Any) -> tuple[QueueTarget, ...]:
    config = parse_model(FunctionConfig, {"spec": {"triggers": triggers}}, name="function.yaml")
    return find_targets(
        complete_function(Function("f", "functions/f", config, ()), "main:handler", settings=Settings())
    )


def test_a_queue_of_an_exchange_is_entered_by_a_key_that_fits() -> None:
    (target,) = find(q={"kind": "rabbit-mq", "attributes": {"exchangeName": "x", "topics": ["a.*.#"]}})
    assert target == QueueTarget("q", "rabbit-mq", "nuclio-nuclio-f", "x", "a.test.test")
    assert target.find_key("a/b") == "a/b"


def test_a_queue_alone_is_entered_by_its_name() -> None:
    (target,) = find(q={"kind": "rabbit-mq", "attributes": {"queueName": "mine"}})
    assert (target.queue, target.exchange, target.address) == ("mine", "", "mine")
    assert target.enclose(Message("mine"), b"key").headers == {}


def test_an_mqtt_trigger_is_entered_by_a_topic() -> None:
    (target,) = find(m={"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a/+"}]}})
    assert (target.queue, target.exchange, target.address) == ("nuclio-nuclio-f-m", "amq.topic", "a/test")
    message = target.enclose(Message("a/b", b"21", {"mine": "1"}, "text/plain"), b"key")
    assert (message.exchange, message.key, message.body, message.content_type) == (
        "",
        target.queue,
        b"21",
        "text/plain",
    )
    origin = {"x-nuclio-exchange": "amq.topic", "x-nuclio-routing-key": "a.b"}
    signature = sign(b"key", target.queue, Origin("amq.topic", "a.b"), b"21")
    assert message.headers == {"mine": "1", "x-nuclio-signature": signature, **origin}


@pytest.mark.parametrize(
    "trigger",
    [
        {"kind": "http"},
        {"kind": "cron", "attributes": {"interval": "1s"}},
        {"kind": "mqtt", "url": "elsewhere:1883", "attributes": {"subscriptions": [{"topic": "a"}]}},
        {"kind": "rabbit-mq", "url": "amqp://elsewhere", "attributes": {"queueName": "q"}},
    ],
)
def test_other_triggers_have_no_target(trigger: dict[str, Any]) -> None:
    assert not find(other=trigger)


def test_wildcards_are_filled() -> None:
    assert fill_wildcards("a/+/#") == "a/test/test"
