"""Brokers that are looked for in the function's own container."""

from typing import Any

import pytest

from stack.plan.function_check import find_loopback
from tests.unit.plan.samples import make_function

TOPICS = {"subscriptions": [{"topic": "t"}]}


def find(**trigger: Any) -> list[str]:
    return list(find_loopback(make_function(triggers={"t": trigger}).config.spec))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("mqtt://localhost:1883", "localhost"),
        ("LOCALHOST", "localhost"),
        ("mqtt://me:word@127.0.0.1", "127.0.0.1"),
        ("tcp://127.1.2.3:1883", "127.1.2.3"),
        ("mqtt://[::1]:1883", "::1"),
        ("0.0.0.0:1883", "0.0.0.0"),
        ("ws://broker.localhost", "broker.localhost"),
    ],
)
def test_the_container_itself_is_no_broker(url: str, host: str) -> None:
    (line,) = find(kind="mqtt", url=url, attributes=TOPICS)
    assert line.startswith(f"spec.triggers.t.url: {host} is the function's own container")
    assert "The stack's broker is mqtt://rabbitmq-mqtt:1883, or no url at all" in line
    assert "word" not in line


def test_the_advice_is_for_the_kind() -> None:
    assert "The stack's broker is amqp://rabbitmq-mqtt:5672" in find(kind="rabbit-mq", url="amqp://127.0.0.1")[0]


@pytest.mark.parametrize(
    "trigger",
    [
        {"kind": "mqtt", "url": "mqtt://rabbitmq-mqtt:1883", "attributes": TOPICS},
        {"kind": "mqtt", "url": "mqtt://10.0.0.7:1883", "attributes": TOPICS},
        {"kind": "mqtt", "attributes": TOPICS},
        {"kind": "mqtt", "url": "localhost", "disabled": True, "attributes": TOPICS},
        {"kind": "rabbit-mq", "url": "amqp://localhost", "secret": "far.url"},
        {"kind": "http", "url": "127.0.0.1:8080"},
    ],
)
def test_nothing_else_is_told(trigger: dict[str, Any]) -> None:
    assert not find(**trigger)
