"""What RabbitMQ's answers become."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from stack.errors import StackError
from stack.live.broker import TrafficSource, find_flow
from stack.live.devices import describe_client, describe_value, follow_clients
from stack.rabbitmq.management_async import (
    Binding,
    Connection,
    Consumer,
    Flow,
    read_connection,
    read_consumer,
    read_exchange,
    read_queue,
)
from stack.rabbitmq.observer import Observed, describe_message

_SENT = {"recv_oct": 40, "recv_oct_details": {"rate": 1.5}, "send_oct": 4}
_MQTT = {
    "name": "10.0.0.9:1 -> 10.0.0.2:1883", "protocol": "MQTT 5-0", "user": "guest", "peer_host": "10.0.0.9",
    "peer_port": 1, "connected_at": 1500, "client_properties": {"client_id": "meter"}, **_SENT,
}  # fmt: skip


def test_a_queue_without_figures() -> None:
    queue = read_queue({"name": "q", "durable": True})
    assert (queue.name, queue.durable, queue.messages, queue.arrived) == ("q", True, 0, 0)
    assert queue.published == Flow(0, 0.0)


def test_what_arrived_was_delivered_or_waits() -> None:
    figures = {"publish": 3, "publish_details": {"rate": 0.5}, "deliver_get": 10, "redeliver": 2}
    queue = read_queue({"name": "q", "messages": 6, "messages_ready": 4, "message_stats": figures})
    assert (queue.arrived, queue.published, queue.delivered) == (12, Flow(3, 0.5), Flow(10, 0.0))


def test_an_exchange_that_nothing_passed() -> None:
    exchange = read_exchange({"name": "", "type": "direct", "durable": True, "message_stats": {}})
    assert exchange.taken == exchange.given == Flow(0, 0.0)


def test_a_consumer_over_mqtt_has_no_channel() -> None:
    assert read_consumer({"queue": {"name": "q"}, "channel_details": []}) == Consumer("q", "", "")
    details = {"connection_name": "a -> b", "peer_host": "10.0.0.3"}
    assert read_consumer({"queue": {"name": "q"}, "channel_details": details}) == Consumer("q", "a -> b", "10.0.0.3")


def test_a_client_has_the_name_that_it_gave() -> None:
    assert read_connection(_MQTT).client == "meter"
    assert read_connection({"name": "n", "user_provided_name": "mine"}).client == "mine"
    assert read_connection({"name": "n", "client_properties": {"connection_name": "mine"}}).client == "mine"
    assert read_connection({"name": "n", "client_properties": []}).client == ""


def test_the_flow_of_an_exchange_is_at_least_that_of_its_queues() -> None:
    queues = [{"name": "a", "publish_rate": 2.0}, {"name": "b", "publish_rate": 3.0}, {"name": "c", "publish_rate": 50}]
    ends = [("x", "a"), ("x", "b"), ("x", "c"), ("y", "c")]
    bindings = [Binding(source, queue, "queue", "#") for source, queue in ends]
    assert find_flow("x", queues, bindings=bindings) == (3.0, 5.0)
    assert find_flow("y", queues, bindings=bindings) == (0.0, 0)


def test_a_client_is_seen_when_bytes_come_from_it() -> None:
    quiet = replace(read_connection(_MQTT), received=Flow(40, 0.0))
    first = follow_clients({}, [quiet], time=100.0)
    assert first[quiet.name].last_seen is None
    again = follow_clients(first, [quiet], time=110.0)
    assert again[quiet.name].last_seen is None
    spoke = follow_clients(again, [replace(quiet, received=Flow(50, 0.0))], time=120.0)
    assert spoke[quiet.name].last_seen == 120
    assert follow_clients({}, [read_connection(_MQTT)], time=100.0)[quiet.name].last_seen == 100


def test_a_client_that_left_is_remembered_until_it_is_back() -> None:
    client = read_connection(_MQTT)
    here = follow_clients({}, [client], time=100.0)
    gone = follow_clients(here, [], time=200.0)
    assert not gone[client.name].is_there
    assert follow_clients(gone, [], time=900.0) == {}
    back = replace(client, name="10.0.0.9:2 -> 10.0.0.2:1883")
    assert list(follow_clients(gone, [back], time=210.0)) == [back.name]


def test_a_function_is_known_by_its_address() -> None:
    client = follow_clients({}, [read_connection(_MQTT)], time=100.0)["10.0.0.9:1 -> 10.0.0.2:1883"]
    told = describe_client(client, {"10.0.0.9": "f"})
    assert (told["function"], told["is_own"], told["peer"]) == ("f", True, "10.0.0.9:1")
    assert describe_client(client, {})["is_own"] is False


def make_message(exchange: str, key: str, **properties: object) -> Observed:
    return Observed(1.0, exchange, key, b"21", SimpleNamespace(**{"headers": None, **properties}))


def test_a_value_has_the_name_of_its_topic() -> None:
    over_mqtt = describe_value(make_message("amq.topic", "a.b", headers={"sensor": "s"}))
    assert (over_mqtt["topic"], over_mqtt["sensor"], over_mqtt["protocol"]) == ("a/b", "s", "MQTT")
    over_amqp = describe_value(make_message("iot/sensors", "temperature"))
    assert (over_amqp["topic"], over_amqp["sensor"], over_amqp["protocol"]) == ("iot/sensors temperature", "", "AMQP")


def test_a_message_is_described_with_what_its_publisher_gave() -> None:
    told = describe_message(make_message("e", "k", headers={"n": 1}, message_id="m", reply_to=None))
    assert told["headers"] == {"n": "1"}
    assert told["properties"] == {"message_id": "m"}
    assert (told["topic"], told["exchange"], told["key"], told["size"]) == ("", "e", "k", 2)


@pytest.mark.parametrize("subject", ["queue", "queue:", "binding:a", ""])
def test_there_is_traffic_of_known_kinds(subject: str) -> None:
    with pytest.raises(StackError, match="such as queue:NAME"):
        TrafficSource(None, subject, lambda: None)  # type: ignore[arg-type]


def test_watching_is_told_of_what_is_watched_already(monkeypatch: pytest.MonkeyPatch) -> None:
    class Observer:
        is_bound, problem = False, ""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def observe(self, places: object) -> None:
            pass

    class Management:
        async def broker(self) -> None:
            pass

    monkeypatch.setattr("stack.live.broker.Observer", Observer)
    source = TrafficSource(Management(), "topic:plant/#", lambda: None)  # type: ignore[arg-type]
    assert asyncio.run(source.look()).entries == ()
    Observer.is_bound = True
    assert asyncio.run(source.look()).entries == ({"note": "Watching the topic plant/#."},)


def test_an_unused_connection_is_whole() -> None:
    assert read_connection({"name": "n"}) == Connection("n", "", "", "", "", 0, 0.0, Flow(0, 0.0), Flow(0, 0.0))
