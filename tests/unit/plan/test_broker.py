"""Passwords of the broker, and which triggers are its."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from stack.config.environment import Secret
from stack.config.value import is_own_broker
from stack.plan.broker import (
    GUEST_CREDENTIALS,
    Bound,
    Credentials,
    has_own_account,
    hash_password,
    topology,
)

MADE = Credentials("tidegate", Secret("s3cret/+ word"))


def is_password(text: str, password: str) -> bool:
    """Check a password as RabbitMQ does: salt, and SHA-256 of salt and password."""
    data = base64.b64decode(text)
    return hashlib.sha256(data[:4] + password.encode()).digest() == data[4:]


def test_password_is_hashed_as_rabbitmq_does() -> None:
    assert is_password(hash_password(GUEST_CREDENTIALS), "guest")
    assert is_password(hash_password(MADE), "s3cret/+ word")
    assert hash_password(MADE) == hash_password(Credentials("tidegate", Secret("s3cret/+ word")))


def test_url_is_escaped() -> None:
    assert MADE.url("host", 5672) == "amqp://tidegate:s3cret%2F%2B%20word@host:5672/"


@pytest.mark.parametrize(
    ("url", "is_own", "has_account"),
    [
        ("", True, False),
        ("amqp://guest:guest@rabbitmq-mqtt:5672", True, False),
        ("mqtt://rabbitmq:1883", True, False),
        ("rabbitmq-mqtt", True, False),
        ("rabbitmq-mqtt:5672", True, False),
        ("amqp://ann:pw@rabbitmq-mqtt", True, True),
        ("amqp://broker.example:5672", False, False),
        ("tcp://ann@broker.example", False, True),
    ],
)
def test_whose_broker_a_url_is(url: str, is_own: bool, has_account: bool) -> None:
    assert (is_own_broker(url), has_own_account(url)) == (is_own, has_account)


def test_topology_is_what_functions_declare() -> None:
    bound = Bound("iot/sensors", is_durable_exchange=False, queue="q", is_durable_queue=True, topics=("a", "b.#"))
    document = json.loads(topology([bound, replace(bound, queue="r", topics=("a",))]))
    assert [(one["name"], one["type"], one["durable"]) for one in document["exchanges"]] == [
        ("iot/sensors", "topic", False)
    ]
    assert [(one["name"], one["durable"]) for one in document["queues"]] == [("q", True), ("r", True)]
    assert [(one["source"], one["routing_key"], one["destination"]) for one in document["bindings"]] == [
        ("iot/sensors", "a", "q"),
        ("iot/sensors", "b.#", "q"),
        ("iot/sensors", "a", "r"),
    ]
