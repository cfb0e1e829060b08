"""Hints at keys that nothing publishes."""

from typing import Any

import pytest

from stack.plan.key_hint import Publisher, find_key_hints, find_unrouted
from tests.unit.plan.samples import make_plan

EVENT = "ch.publish('iot/sensors', 'temperature', body)"


def bind(*topics: str, exchange: str = "iot/sensors") -> dict[str, Any]:
    attributes = {"exchangeName": exchange, "queueName": "q", "topics": list(topics)}
    return {"in": {"kind": "rabbit-mq", "attributes": attributes}}


def hints(triggers: dict[str, Any], *texts: str, outputs: dict[str, Any] | None = None) -> list[str]:
    publishing = make_plan("other", outputs=outputs or {})
    publishers = [Publisher("other", publishing.spec.outputs, texts)]
    return list(find_key_hints(make_plan(triggers=triggers), publishers))


def test_a_misspelt_key_is_told_with_what_is_published_instead() -> None:
    (hint,) = hints(bind("temeprature"), EVENT)
    assert hint == (
        "spec.triggers.in: nothing here publishes the routing key temeprature; iot/sensors gets temperature from "
        "other. Unless a device publishes it, correct the one that is misspelt and deploy again"
    )
    assert "gets temperature from `invoke client`" in hints(bind("temeprature"))[0]


@pytest.mark.parametrize(
    ("key", "published"),
    [("connected", "disconnected"), ("order.created", "order.create"), ("load", "unload"), ("visible", "invisible")],
)
def test_a_word_with_another_beginning_or_end_is_another(key: str, published: str) -> None:
    for bound, sent in ((key, published), (published, key)):
        assert hints(bind(bound, exchange="e"), f"publish('e', '{sent}')") == []


@pytest.mark.parametrize("key", ["temperature", "humidity", "*", "#", "temperature2", "temp.*"])
def test_what_is_published_or_has_another_meaning_is_not_told(key: str) -> None:
    assert hints(bind(key), EVENT) == []


def test_a_key_that_is_published_too_is_not_told() -> None:
    both = "ch.publish('iot/sensors', 'temperature'); ch.publish('iot/sensors', 'temperatures')"
    assert hints(bind("temperatures"), both) == []
    assert hints(bind("temperatures")) != []
    assert hints(bind("oven.#", exchange="e"), "publish('e', 'ovens.1'); publish('e', 'oven.1.top')") == []


def test_another_exchange_says_nothing() -> None:
    assert hints(bind("temeprature", exchange="iot/other"), EVENT) == []
    assert hints(bind("sensor-a", exchange="e"), "publish('e', 'sensor-b')") == []
    assert hints(bind("in.kitchen", exchange="e"), "publish('e', 'kitchen')") == []


def test_outputs_are_known_with_parts_that_are_filled_in() -> None:
    output = {"out": {"kind": "rabbit-mq", "exchange": "plant", "routingKey": "oven.{id}.temperature"}}
    assert (
        "plant gets oven.*.temperature from other"
        in hints(bind("oven.3.temprature", exchange="plant"), outputs=output)[0]
    )
    for key in ("oven.3.temperature", "oven.#", "#.temperature"):
        assert hints(bind(key, exchange="plant"), outputs=output) == []
    assert hints(bind("ovne.#", exchange="plant"), outputs=output) == []
    assert hints(bind("ovenn.#", exchange="plant"), outputs=output) != []


def test_topics_of_mqtt() -> None:
    triggers: dict[str, Any] = {
        "in": {"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "plant/+/temprature"}]}}
    }
    (hint,) = hints(triggers, outputs={"out": {"kind": "mqtt", "topic": "plant/{id}/temperature"}})
    assert "the topic plant/+/temprature; amq.topic gets plant/+/temperature from other" in hint
    assert hints(triggers, "import paho.mqtt\nTOPIC = 'plant/oven/temperature'\n") != []
    assert hints(triggers, "TOPIC = 'plant/oven/temperature'\n") == []
    triggers["in"]["attributes"]["subscriptions"][0]["topic"] = "temprature"
    assert hints(triggers, "import paho.mqtt\nNAME = 'temperature'\n") == []


def test_messages_that_no_queue_gets_are_told() -> None:
    plan = make_plan(triggers=bind("kitchen", "hall"))
    assert list(find_unrouted(plan, {"iot/sensors": 2, "amq.topic": 3})) == [
        "spec.triggers.in: 2 messages came to iot/sensors so far, and none had a routing key that a queue is bound to; "
        "this one is bound to kitchen, hall"
    ]
    assert list(find_unrouted(plan, {"iot/sensors": 0, "other": 1})) == []
    topic = {"in": {"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a"}]}}}
    assert list(find_unrouted(make_plan(triggers=topic), {"amq.topic": 3})) == []


def test_a_trigger_that_is_off_is_not_told() -> None:
    triggers = bind("temeprature")
    triggers["in"]["disabled"] = True
    assert hints(triggers, EVENT) == []
