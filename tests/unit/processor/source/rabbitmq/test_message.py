"""What is decided about AMQP messages without a broker."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from stack.contract import ALERTER, FUNCTION
from stack.processor.configuration import Function, parse_function
from stack.processor.delivery import Failure
from stack.processor.message import AmqpMessage
from stack.processor.source.broker import Delays
from stack.processor.source.mqtt.retry_source import plan_topology as plan_mqtt_topology
from stack.processor.source.rabbitmq.field_table import decode_table, encode_table
from stack.processor.source.rabbitmq.flow import Acknowledgements, Prefetch
from stack.processor.source.rabbitmq.headers import note_origin, sign_again
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.source.rabbitmq.topology import (
    RetryMessage,
    RetryPlan,
    Topology,
    build_retry,
    explain_refusal,
    find_other_type,
    plan_topology,
    restore_origin,
)

FAILURE = Failure("ValueError: no", 'File "main.py", line 1, in handler')


def plan(kind: str, **attributes: Any) -> Topology:
    trigger = {"kind": kind, "url": "amqp://h", "attributes": attributes}
    document = {"metadata": {"name": "f", "namespace": "n"}, "spec": {"triggers": {"t": trigger}}}
    function: Function = parse_function(document, secrets=Path(), folder=Path())
    make = plan_mqtt_topology if kind == "mqtt" else plan_topology
    return make(function.triggers[0], function)


PLAN = RetryPlan("q", 3, "f", b"key")


def copy(headers: dict[str, Any] | None = None, attempts: int = 0, retries: int = 3, **properties: Any) -> RetryMessage:
    message = AmqpMessage("e", "k", BasicProperties(headers=headers, **properties), b"b", attempts)
    return build_retry(message, FAILURE, replace(PLAN, retries=retries))


def arrive(copied: RetryMessage, **changed: Any) -> AmqpMessage:
    """Return a copy as it comes back from the broker."""
    encoded = b"".join(copied.properties.encode())
    properties = Properties().decode(encoded)
    properties.headers = {**properties.headers, **changed}
    return restore_origin(AmqpMessage("", "q", properties, copied.body), PLAN)


def test_final_failure_makes_a_dead_letter_at_once() -> None:
    message = AmqpMessage("e", "k", BasicProperties(), b"b")
    assert build_retry(message, Failure("no", "", is_final=True), PLAN).queue == "q.dead"
    assert build_retry(message, FAILURE, PLAN).queue == "q.retry.1000ms"


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
    ("attempts", "queue", "delay"),
    [
        (0, "q.retry.1000ms", 1),
        (1, "q.retry.5000ms", 5),
        (2, "q.retry.25000ms", 25),
        (3, "q.dead", 0),
        (10**30, "q.dead", 0),
        (-1000, "q.retry.1000ms", 1),
    ],
)
def test_delays_grow_until_the_message_is_dead(attempts: int, queue: str, delay: float) -> None:
    found = copy(attempts=attempts)
    assert (found.queue, found.delay) == (queue, delay)


@pytest.mark.parametrize("value", [-1000, 10**18, True, 3.5, "many", b"\xff", None, [1], {"a": 1}])
def test_attempts_that_somebody_else_counted_are_none(value: Any) -> None:
    properties = BasicProperties(headers={"x-nuclio-attempts": value, "x-nuclio-signature": "0" * 64, "mine": 1})
    message = restore_origin(AmqpMessage("e", "k", properties, b"b"), PLAN)
    assert (message.attempts, message.properties.headers) == (0, {"mine": 1})
    assert build_retry(message, FAILURE, PLAN).arguments("")["x-message-ttl"] == 1000


def test_every_queue_for_retries_gives_its_messages_back() -> None:
    for attempts in range(500):
        found = copy(attempts=attempts, retries=400)
        arguments = found.arguments("quorum")
        assert found.queue == "q.dead" or 1000 <= arguments["x-message-ttl"] <= 600_000
        assert found.queue == "q.dead" or arguments["x-dead-letter-routing-key"] == "q"


def test_copy_waits_in_a_queue_that_gives_it_back() -> None:
    assert copy().arguments("") == {
        "x-message-ttl": 1000,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "q",
    }
    assert copy(retries=0).arguments("") == {}


def test_longest_delay_is_ten_minutes() -> None:
    assert copy(attempts=50, retries=100).delay == 600


def test_copy_keeps_what_may_be_kept() -> None:
    headers = {"mine": 1, "BCC": ["x"], "x-death": [], "x-delivery-count": 3}
    properties = copy(headers, expiration="5", user_id="u", priority=3).properties
    copied = decode_table(properties.raw_headers)
    assert copied["mine"] == 1
    assert not {"BCC", "x-death", "x-delivery-count"} & set(copied)
    assert (properties.expiration, properties.user_id, properties.priority) == (None, None, 3)


def test_first_failure_stays_the_first() -> None:
    properties = BasicProperties(headers={"x-nuclio-first-failed": "2020-01-01T00:00:00Z"})
    copied = build_retry(AmqpMessage("e", "k", properties, b"b", 1), FAILURE, PLAN)
    headers = decode_table(copied.properties.raw_headers)
    assert headers["x-nuclio-first-failed"] == "2020-01-01T00:00:00Z"
    assert headers["x-nuclio-last-failed"] > "2020"


def test_retried_message_is_seen_where_it_was_first_published() -> None:
    message = arrive(copy())
    assert (message.exchange, message.routing_key, message.attempts) == ("e", "k", 1)
    assert message.properties.headers["x-nuclio-attempts"] == 1
    assert not {"x-nuclio-exchange", "x-nuclio-signature"} & set(message.properties.headers)


@pytest.mark.parametrize(
    "changed",
    [
        {"x-nuclio-attempts": 0},
        {"x-nuclio-exchange": "other"},
        {"x-nuclio-routing-key": "other"},
        {"x-mqtt-topic": "other"},
        {"x-nuclio-signature": "ä"},
        {"x-nuclio-signature": b"\xff"},
    ],
)
def test_what_was_changed_under_a_signature_is_not_believed(changed: dict[str, Any]) -> None:
    message = arrive(copy(), **changed)
    assert (message.exchange, message.routing_key, message.attempts) == ("", "q", 0)
    assert not message.properties.headers


def test_signature_is_that_of_one_queue_and_body() -> None:
    copied = copy()
    assert arrive(replace(copied, body=b"other")).attempts == 0
    encoded = Properties().decode(b"".join(copied.properties.encode()))
    assert restore_origin(AmqpMessage("", "r", encoded, b"b"), replace(PLAN, queue="r")).attempts == 0


def test_dead_letter_that_is_sent_again_was_never_tried() -> None:
    dead = copy(attempts=3, message_id="m", expiration="7", headers={"mine": 21.5})
    properties = Properties().decode(b"".join(dead.properties.encode()))
    fresh = sign_again(properties, dead.body, queue="q", key=PLAN.key)
    message = restore_origin(AmqpMessage("", "q", Properties().decode(b"".join(fresh.encode())), b"b"), PLAN)
    assert (message.exchange, message.routing_key, message.attempts) == ("e", "k", 0)
    assert message.properties.headers == {"mine": 21.5}
    assert (message.properties.message_id, message.properties.delivery_mode) == ("m", 2)


def test_message_that_moves_to_another_queue_tells_where_it_was_published() -> None:
    sent = Properties(raw_headers=encode_table([("mine", 1), ("x-nuclio-attempts", 9), ("x-delivery-count", 2)]))
    sent.decode(b"".join(sent.encode()))
    moved = note_origin(AmqpMessage("e", "k", sent, b"b"), "q", PLAN.key)
    message = restore_origin(AmqpMessage("", "q", Properties().decode(b"".join(moved.encode())), b"b"), PLAN)
    assert (message.exchange, message.routing_key, message.attempts) == ("e", "k", 0)
    assert message.properties.headers == {"mine": 1}
    again = note_origin(AmqpMessage("", "q", moved.decode(b"".join(moved.encode())), b"b"), "q", PLAN.key)
    assert again.raw_headers == moved.raw_headers


@pytest.mark.parametrize("text", ["\ud800", "x" * 10_000_000, "\0", "é" * 100_000])
def test_copy_of_any_error_fits_into_a_frame(text: str) -> None:
    properties = build_retry(AmqpMessage("\ud800", b"\xff", BasicProperties(), b"b"), Failure(text, text), PLAN)
    assert properties.properties.size < 131_072
    assert decode_table(properties.properties.raw_headers)["x-nuclio-routing-key"] == b"\xff"


def test_headers_that_leave_no_room_for_the_error_are_named() -> None:
    names = [f"small-{number}" for number in range(2500)]
    table = encode_table([("large", "x" * 60_000), *((name, "y" * 10) for name in names)])
    assert 120_000 < len(table) < 131_072
    properties = Properties().decode(b"".join(Properties(raw_headers=table).encode()))
    copied = build_retry(AmqpMessage("e", "k", properties, b"b"), Failure("no", "x" * 10_000), PLAN).properties
    headers = decode_table(copied.raw_headers)
    assert copied.size < 131_072
    assert (headers["x-nuclio-left-out"], "small-2499" in headers) == ("large", True)


def test_copy_keeps_the_bytes_of_every_header() -> None:
    deep = b""
    for _ in range(3000):
        deep = b"\1aF" + len(deep).to_bytes(4) + deep
    odd = [deep, b"\1tT" + b"\xff" * 8, b"\1ff\x41\xad\x99\x9a", b"\2\xff\xfeS\0\0\0\1\xff", b"\1ab\x80"]
    properties = Properties().decode(b"".join(Properties(raw_headers=b"".join(odd), content_type=b"\xff").encode()))
    copied = build_retry(AmqpMessage("e", "k", properties, b"b"), FAILURE, PLAN).properties
    assert copied.raw_headers.endswith(b"".join(odd))
    assert copied.content_type == b"\xff"


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


def test_prefetch_grows_after_a_few_events() -> None:
    prefetch = Prefetch(0)
    for _ in range(4):
        prefetch.begin()
        prefetch.end(10)
    assert prefetch.revise()
    assert prefetch.count > 50


def test_prefetch_grows_with_the_time_until_what_was_sent_has_arrived() -> None:
    prefetch = Prefetch(0)
    prefetch.note_settling(0.05)
    for _ in range(4):
        prefetch.begin()
        prefetch._began -= 0.0001
        prefetch.end(10)
    assert prefetch.revise()
    assert 500 < prefetch.count < 1100


def test_prefetch_does_not_waver() -> None:
    prefetch = Prefetch(0)

    def take(events: int, seconds: float) -> bool:
        for _ in range(events):
            prefetch.begin()
            prefetch._began -= seconds
            prefetch.end(10)
        return prefetch.revise()

    assert take(4, 0.001)
    assert not take(64, 0.003), "a third is near enough"
    assert not take(64, 0.0008), "a quarter more is, too"
    assert take(64, 0.0005)
    assert take(64, 0.02)
    assert not take(64, 0.001), "a change has just been made"
    prefetch._changed -= 2
    assert take(64, 0.001)


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


def test_delays_grow_up_to_the_longest_and_begin_again() -> None:
    delays = Delays(15.0)
    waits = [delays.next() for _ in range(12)]
    assert 0.15 <= waits[0] <= 0.25
    assert all(11.0 <= wait <= 19.0 for wait in waits[-4:])
    delays.reset()
    assert delays.next() <= 0.25


def test_prefetch_of_the_user_is_lowered_for_large_messages_and_comes_back() -> None:
    prefetch = Prefetch(500)
    prefetch.lower(16 * 1024 * 1024)
    assert prefetch.count == 4
    for _ in range(100):
        prefetch.begin()
        prefetch.end(10)
    assert prefetch.revise()
    assert prefetch.count == 500


def test_alerter_alone_sees_who_has_sent_a_message() -> None:
    def restore(plan: RetryPlan) -> Any:
        properties = BasicProperties(headers={FUNCTION: "temperaturealert", "a": 1})
        return restore_origin(AmqpMessage("", "q", properties, b"b"), plan).properties.headers

    assert restore(PLAN) == {"a": 1}
    assert restore(replace(PLAN, function=ALERTER)) == {FUNCTION: "temperaturealert", "a": 1}
