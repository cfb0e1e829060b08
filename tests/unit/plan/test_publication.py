"""Messages as forms give them."""

import pytest

from stack.errors import ConfigError
from stack.plan.message import AmqpMessage, MqttMessage, read_amqp, read_mqtt


def test_a_form_makes_a_message_for_amqp() -> None:
    form = {
        "exchange": "iot/sensors",
        "key": "temperature",
        "body": "21°",
        "headers": "sensor: hall\nlevel: 3",
        "reply_to": "me",
        "persistent": "on",
    }
    expected = AmqpMessage("iot/sensors", "temperature", "21°".encode(), {"sensor": "hall", "level": 3}, reply_to="me")
    assert read_amqp(form) == expected
    assert not read_amqp({}).is_persistent


@pytest.mark.parametrize("headers", ["- a", "a: [1]", "a: {b: 1}", "a: b: c"])
def test_headers_are_plain(headers: str) -> None:
    with pytest.raises(ConfigError, match="headers"):
        read_amqp({"headers": headers})


def test_a_key_has_a_limit() -> None:
    with pytest.raises(ConfigError, match="255 bytes"):
        read_amqp({"key": "é" * 128})


def test_a_form_makes_a_message_for_mqtt() -> None:
    assert read_mqtt({"topic": "a/b", "body": "x", "qos": "1", "retain": "on"}) == MqttMessage("a/b", b"x", 1, True)
    assert read_mqtt({"topic": "a/b"}) == MqttMessage("a/b", b"")


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "a" * 65536])
def test_a_topic_is_one_that_can_be_published_to(topic: str) -> None:
    with pytest.raises(ConfigError, match="topic"):
        read_mqtt({"topic": topic})


def test_rabbitmq_has_no_qos_2() -> None:
    with pytest.raises(ConfigError, match="qos"):
        read_mqtt({"topic": "a", "qos": "2"})
