"""What is decided about AMQP messages without a broker."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from stack.processor.configuration import Function, parse_function
from stack.processor.delivery import Failure
from stack.processor.message import AmqpMessage
from stack.processor.source.delay import Delays
from stack.processor.source.rabbitmq.acknowledgement import Acknowledgements
from stack.processor.source.rabbitmq.prefetch import Prefetch
from stack.processor.source.rabbitmq.retry import Copy, copy_message, restore_origin
from stack.processor.source.rabbitmq.topology import Topology, explain_refusal, find_other_type, plan_topology
from stack.processor.source.subscription import to_key

FAILURE = Failure("ValueError: no", 'File "main.py", line 1, in handler')


def plan(kind: str, **attributes: Any) -> Topology:
    trigger = {"kind": kind, "url": "amqp://h", "attributes": attributes}
    document = {"metadata": {"name": "f", "namespace": "n"}, "spec": {"triggers": {"t": trigger}}}
    function: Function = parse_function(document, secrets=Path(), folder=Path())
    return plan_topology(function.triggers[0], function)


def copy(headers: dict[str, Any] | None, retries: int = 3, **properties: Any) -> Copy:
    message = AmqpMessage("e", "k", BasicProperties(headers=headers, **properties), b"b")
    return copy_message(message, FAILURE, queue="q", retries=retries, function="f")


def test_queue_of_the_function_is_durable_and_named_after_it() -> None:
    topology = plan("rabbit-mq")
    assert (topology.queue, topology.durable_queue, topology.declares_exchange) == ("nuclio-n-f", True, False)


def test_topics_declare_the_exchange() -> None:
    topology = plan("rabbit-mq", exchangeName="e", queueName="q", topics=["a", "b.#"], durableQueue=False)
    assert topology == Topology(
        queue="q", durable_queue=False, exchange="e", declares_exchange=True, durable_exchange=False, keys=("a", "b.#")
    )


def test_mqtt_subscriptions_are_bindings() -> None:
    topology = plan("mqtt", subscriptions=[{"topic": "a/+/c", "qos": 1}, {"topic": "d/#"}])
    assert (topology.queue, topology.exchange, topology.keys) == ("nuclio-n-f-t", "amq.topic", ("a.*.c", "d.#"))
    assert topology.durable_queue and not topology.declares_exchange


@pytest.mark.parametrize(("topic", "key"), [("a/b", "a.b"), ("/a", ".a"), ("+/#", "*.#"), ("a//b", "a..b")])
def test_topic_filters_are_binding_keys(topic: str, key: str) -> None:
    assert to_key(topic) == key


def test_refusal_names_both_declarations() -> None:
    text = (
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'iot/q' in vhost '/': "
        "received 'true' but current is 'false'"
    )
    assert explain_refusal(text) == (
        "the queue 'iot/q' is there already, declared with durable=false, while this trigger declares it with "
        "durable=true: set the attribute durableQueue to false, or delete the queue"
    )
    assert explain_refusal("NOT_FOUND - no queue") == "NOT_FOUND - no queue"


def test_queue_of_another_type_is_used_as_it_is() -> None:
    text = (
        "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'iot/q' in vhost '/': "
        "received 'quorum' but current is 'classic'"
    )
    assert find_other_type(text) == "iot/q"
    assert find_other_type(text.replace("x-queue-type", "durable")) == ""
    assert explain_refusal(text) == "the queue 'iot/q' is a classic queue already, and is used as it is"


@pytest.mark.parametrize(
    ("headers", "queue", "delay"),
    [
        (None, "q.retry.1000ms", 1),
        ({"x-nuclio-attempts": 1}, "q.retry.5000ms", 5),
        ({"x-nuclio-attempts": 2}, "q.retry.25000ms", 25),
        ({"x-nuclio-attempts": 3}, "q.dead", 0),
        ({"x-nuclio-attempts": "many"}, "q.retry.1000ms", 1),
    ],
)
def test_delays_grow_until_the_message_is_dead(headers: dict[str, Any] | None, queue: str, delay: float) -> None:
    found = copy(headers)
    assert (found.queue, found.delay) == (queue, delay)


def test_copy_waits_in_a_queue_that_gives_it_back() -> None:
    back = {"x-message-ttl": 1000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"}
    kept = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    assert copy(None).arguments("") == back
    assert copy(None).arguments("classic") == {**back, "x-queue-type": "classic"}
    assert copy(None).arguments("quorum") == {**back, **kept, "x-queue-type": "quorum"}
    assert copy(None, retries=0).arguments("") == {}
    assert copy(None, retries=0).arguments("quorum") == {"x-queue-type": "quorum"}


def test_longest_delay_is_ten_minutes() -> None:
    assert copy({"x-nuclio-attempts": 50}, retries=100).delay == 600


def test_copy_keeps_what_may_be_kept() -> None:
    headers = {"mine": 1, "BCC": ["x"], "x-death": [], "x-delivery-count": 2}
    properties = copy(headers, expiration="5", user_id="u", priority=3).properties
    assert properties.headers["mine"] == 1
    assert not {"BCC", "x-death", "x-delivery-count"} & properties.headers.keys()
    assert (properties.expiration, properties.user_id, properties.priority) == (None, None, 3)


def test_first_failure_stays_the_first() -> None:
    headers = copy({"x-nuclio-attempts": 1, "x-nuclio-first-failed": "2020-01-01T00:00:00Z"}).properties.headers
    assert headers["x-nuclio-first-failed"] == "2020-01-01T00:00:00Z"
    assert headers["x-nuclio-last-failed"] > "2020"


def test_retried_message_is_seen_where_it_was_first_published() -> None:
    message = restore_origin("", "q", copy(None).properties, b"b")
    assert (message.exchange, message.routing_key) == ("e", "k")
    assert message.properties.headers["x-nuclio-attempts"] == 1
    assert "x-nuclio-exchange" not in message.properties.headers


def test_consecutive_deliveries_are_acknowledged_in_one_frame() -> None:
    acknowledgements = Acknowledgements()
    assert acknowledgements.merge([]) == []
    assert acknowledgements.merge([1]) == [(1, False)]
    assert acknowledgements.merge([2, 3, 4]) == [(4, True)]
    acknowledgements.hold(7)
    assert acknowledgements.merge([5, 6, 8, 9]) == [(6, True), (8, False), (9, False)]
    acknowledgements.release(7)
    assert acknowledgements.is_free


@given(st.lists(st.sampled_from(["done", "failed", "confirmed", "flush"]), max_size=60))
def test_nothing_unsettled_is_ever_acknowledged(steps: list[str]) -> None:
    acknowledgements = Acknowledgements()
    outstanding: set[int] = set()
    settled: list[int] = []
    held: list[int] = []
    tag = 0
    for step in steps:
        if step == "confirmed" and held:
            acknowledgements.release(held[0])
            outstanding.discard(held.pop(0))
        elif step == "flush":
            for last, multiple in acknowledgements.merge(settled):
                covered = {one for one in outstanding if one <= last} if multiple else {last}
                assert covered <= set(settled)
                outstanding -= covered
            assert not outstanding & set(settled)
            settled = []
        elif step in ("done", "failed"):
            tag += 1
            outstanding.add(tag)
            if step == "failed" and not settled:
                acknowledgements.hold(tag)
                held.append(tag)
            else:
                settled.append(tag)


def test_prefetch_follows_the_handler() -> None:
    prefetch = Prefetch(0)
    assert prefetch.count == 1
    assert not prefetch.revise()
    for _ in range(100):
        prefetch.begin()
        prefetch.end(10)
    assert prefetch.revise()
    assert prefetch.count > 50
    prefetch._began -= 3
    prefetch.end(10)
    assert prefetch.revise()
    assert prefetch.count == 1


def test_prefetch_of_the_user_stays() -> None:
    prefetch = Prefetch(7)
    for _ in range(100):
        prefetch.begin()
        prefetch.end(10)
    assert not prefetch.revise()
    assert prefetch.count == 7


def test_prefetch_minds_the_memory() -> None:
    prefetch = Prefetch(0)
    for _ in range(100):
        prefetch.begin()
        prefetch.end(16 * 1024 * 1024)
    assert prefetch.revise()
    assert prefetch.count == 4


def test_delays_grow_up_to_the_longest_and_begin_anew() -> None:
    delays = Delays(15.0)
    waits = [delays.next() for _ in range(12)]
    assert 0.15 <= waits[0] <= 0.25
    assert all(11.0 <= wait <= 19.0 for wait in waits[-4:])
    delays.reset()
    assert delays.next() <= 0.25
