"""Where messages enter a function."""

from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import Function
from stack.plan.function import complete_function
from stack.plan.message import Entrance, Trial, fill_wildcards, find_entrances
from stack.processor.source.rabbitmq.signature import Origin, sign


def find(**triggers: Any) -> tuple[Entrance, ...]:
    config = parse_model(FunctionConfig, {"spec": {"triggers": triggers}}, "function.yaml")
    return find_entrances(complete_function(Function("f", "functions/f", config, ()), "main:handler", Settings()))


def test_a_queue_of_an_exchange_is_entered_by_a_key_that_fits() -> None:
    (entrance,) = find(q={"kind": "rabbit-mq", "attributes": {"exchangeName": "x", "topics": ["a.*.#"]}})
    assert entrance == Entrance("q", "rabbit-mq", "nuclio-nuclio-f", "x", "a.test.test")
    assert entrance.find_key("a/b") == "a/b"


def test_a_queue_alone_is_entered_by_its_name() -> None:
    (entrance,) = find(q={"kind": "rabbit-mq", "attributes": {"queueName": "mine"}})
    assert (entrance.queue, entrance.exchange, entrance.address) == ("mine", "", "mine")
    assert entrance.enclose(Trial("mine"), b"key").headers == {}


def test_an_mqtt_trigger_is_entered_by_a_topic() -> None:
    (entrance,) = find(m={"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a/+"}]}})
    assert (entrance.queue, entrance.exchange, entrance.address) == ("nuclio-nuclio-f-m", "amq.topic", "a/test")
    message = entrance.enclose(Trial("a/b", b"21", {"mine": "1"}, "text/plain"), b"key")
    assert (message.exchange, message.key, message.body, message.content_type) == (
        "",
        entrance.queue,
        b"21",
        "text/plain",
    )
    origin = {"x-nuclio-exchange": "amq.topic", "x-nuclio-routing-key": "a.b"}
    signature = sign(b"key", entrance.queue, Origin("amq.topic", "a.b"), b"21")
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
def test_other_triggers_have_no_entrance(trigger: dict[str, Any]) -> None:
    assert not find(other=trigger)


def test_wildcards_are_filled() -> None:
    assert fill_wildcards("a/+/#") == "a/test/test"
