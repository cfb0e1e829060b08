"""How calls are asked for, by HTTP and by MQTT 5's requests, and how they reach the broker."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties

from stack.contract import CALL_REQUESTS, TWIN_REQUESTS, to_key
from stack.devices.api import build_app
from stack.devices.call_api import Requests, answer_calls, answer_twins, build_call_routes
from stack.devices.call_wire import BrokerWire
from stack.devices.calls import Calls
from stack.devices.link import Delivery
from stack.devices.store import open_store
from stack.devices.twin import Twins
from tests.unit.dashboard.serving import Client, serving_app, wait_until
from tests.unit.devices.fake_broker import FakeBroker, FakeLink, answer, describe, open_fake_calls

PATH = "/devices/pump-7/calls"


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def calls(link: FakeLink, tmp_path: Path) -> Iterator[Calls]:
    with open_fake_calls(link, tmp_path) as found:
        yield found


@pytest.fixture
def client(calls: Calls) -> Iterator[Client]:
    with serving_app(build_app(build_call_routes(calls))) as found:
        yield found


def test_a_call_is_made_and_its_answer_waited_for(client: Client, link: FakeLink) -> None:
    answer(link, b'{"open": 2}')
    made = client.send("POST", PATH, {"method": "open", "data": {"valve": 2}, "by": "task mara"})
    assert made.status == 201
    call = made.json
    assert (call["state"], call["answer"], call["by"]) == ("answered", {"open": 2}, "task mara")
    (sent,) = link.published
    assert sent.topic == f"tidegate/devices/pump-7/cmd/{call['id']}"
    assert json.loads(sent.body) == {"id": call["id"], "method": "open", "data": {"valve": 2}}
    properties = sent.properties
    assert (properties.correlation_id, properties.delivery_mode) == (call["id"], 2)
    assert properties.headers == {"x-reply-to-topic": f"tidegate.devices.pump-7.ack.{call['id']}"}
    assert 0 < int(properties.expiration) <= 3600_000
    assert client.send("GET", f"{PATH}/{call['id']}").json == call
    assert client.send("GET", PATH).json == {"calls": [call]}


def test_who_waits_is_told_how_the_call_is_then(client: Client) -> None:
    for name, state in (("pump-7", "sent"), ("pump-8", "queued")):
        made = client.send("POST", f"/devices/{name}/calls", {"method": "open", "wait": 0.1})
        assert made.json["state"] == state
        assert client.send("GET", f"/devices/{name}/calls/{made.json['id']}").json["state"] == state


@pytest.mark.parametrize(
    ("name", "body", "status", "text"),
    [
        ("pump-9", {"method": "open"}, 404, "no device pump-9"),
        ("pump-7", {}, 422, "method"),
        ("pump-7", {"method": ""}, 422, "at most 100 characters"),
        ("pump-7", {"method": "open", "wait": 301}, 422, "wait"),
        ("pump-7", {"method": "open", "expires": "31d"}, 422, "from 1ms to 30d"),
        ("pump-7", {"method": "open", "expires": "soon"}, 422, "duration"),
        ("pump-7", {"method": "open", "data": "x" * 65536}, 422, "at most 65536 bytes"),
        ("pump-7", {"method": "open", "data": float("nan")}, 422, "data"),
        ("pump-7", {"method": "open", "data": "\ud800"}, 422, "data"),
        ("pump-7", {"method": "open", "other": 1}, 422, "other"),
        ("pump-7", [], 422, "JSON object"),
    ],
)
def test_what_is_wrong_is_told(client: Client, name: str, body: object, status: int, text: str) -> None:
    made = client.send("POST", f"/devices/{name}/calls", body)
    assert (made.status, text in made.json["error"]) == (status, True), made.json


def ask(link: FakeLink, body: object, *, at: str = CALL_REQUESTS) -> Any:
    """Ask as a function does, twice, as where the service ended after the first time; return both answers."""
    headers, properties = {"x-reply-to-topic": "tidegate.response.valve.1"}, BasicProperties(correlation_id="c1")
    delivery = Delivery("amq.topic", to_key(at), headers, json.dumps(body).encode(), properties)
    for _ in range(2):
        list(link.takes["amq.topic", to_key(at)](delivery))
    wait_until(lambda: len([one for one in link.published if "/response/" in one.topic]) == 2)
    replies = [one for one in link.published if "/response/" in one.topic]
    assert {(one.topic, one.properties.correlation_id) for one in replies} == {("tidegate/response/valve/1", "c1")}
    return [json.loads(one.body) for one in replies]


def test_a_function_is_answered_and_its_request_makes_one_call(calls: Calls, link: FakeLink) -> None:
    answer(link, b"2")
    answer_calls(calls, Requests(link))  # type: ignore[arg-type]
    first, again = ask(link, {"device": "pump-7", "method": "open"})
    assert (first["state"], first["answer"], first["by"]) == ("answered", 2, "function valve")
    assert first["id"] == again["id"]
    assert len([one for one in link.published if "/cmd/" in one.topic]) == 1


@pytest.mark.parametrize("body", [{"device": "pump-9", "method": "open"}, {"device": "pump-7"}, [], "x"])
def test_a_function_is_told_what_is_wrong(calls: Calls, link: FakeLink, body: object) -> None:
    answer_calls(calls, Requests(link))  # type: ignore[arg-type]
    assert all(one["error"] for one in ask(link, body))


def test_a_function_gets_twins_of_devices_that_there_are(link: FakeLink, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    answer_twins(Twins(store, lambda _: True), link, requests=Requests(link), may_log_in=lambda name: name == "pump-7")  # type: ignore[arg-type]
    assert ask(link, {"device": "pump-7", "set": {"fan": "on"}}, at=TWIN_REQUESTS)[0]["desired"] == {"fan": "on"}
    link.published.clear()
    for name in ("pump-8", "\ud800", "x" * 300):
        assert "There is no device" in ask(link, {"device": name, "set": {"a": 1}}, at=TWIN_REQUESTS)[0]["error"]
        link.published.clear()
    store.close()


def test_a_mistake_of_the_service_is_answered_too(calls: Calls, link: FakeLink) -> None:
    answer_calls(calls, Requests(link))  # type: ignore[arg-type]
    calls.make = lambda *_, **__: [][1]  # type: ignore
    assert "could not do it: IndexError" in ask(link, {"device": "pump-7", "method": "open"})[0]["error"]


@pytest.mark.parametrize("topic", ["plant.valve", "tidegate.response.#", "tidegate.response.*", ""])
def test_no_one_is_answered_where_functions_do_not_listen(calls: Calls, link: FakeLink, topic: str) -> None:
    answer_calls(calls, Requests(link))  # type: ignore[arg-type]
    body, properties = b'{"device": "pump-7", "method": "open"}', BasicProperties(correlation_id="c1")
    delivery = Delivery("amq.topic", to_key(CALL_REQUESTS), {"x-reply-to-topic": topic}, body, properties)
    list(link.takes["amq.topic", to_key(CALL_REQUESTS)](delivery))
    assert calls.list_last("pump-7", 10) == []


def test_sessions_are_looked_for_at_the_broker() -> None:
    broker = FakeBroker()
    wire = BrokerWire(broker, FakeLink(), describe)  # type: ignore[arg-type]
    assert wire.hears("pump-7") and wire.find_session("pump-7") == 5.0
    assert not wire.hears("pump-8") and wire.find_session("pump-8") is None
    broker.is_exclusive = False
    assert wire.find_session("pump-7") == 0.0
    broker.keys = {"mqtt-subscription-pump-7qos0": ["plant.#"]}
    assert not wire.hears("pump-7") and wire.find_session("pump-7") == 0.0
    broker.keys, broker.is_exclusive = {"mqtt-subscription-pump-8qos1": ["#"]}, True
    assert not wire.hears("pump-8") and wire.find_session("pump-8") is None


def test_events_of_the_broker_send_what_waits(calls: Calls, link: FakeLink) -> None:
    made: list[Any] = []
    calls.note_queue = lambda queue, *, is_gone: made.append(SimpleNamespace(queue=queue, is_gone=is_gone))  # type: ignore
    for key, header in (("binding.created", "destination_name"), ("queue.deleted", "name")):
        link.takes["amq.rabbitmq.event", key](Delivery("", key, {header: "mqtt-subscription-pump-7qos1"}, b"", None))
    assert [vars(one) for one in made] == [
        {"queue": "mqtt-subscription-pump-7qos1", "is_gone": False},
        {"queue": "mqtt-subscription-pump-7qos1", "is_gone": True},
    ]
