"""What a function sends to its outputs, on the real stack: when it leaves, what goes with it, and what is declared."""

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pika
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.docker.workspace import PATIENCE, Workspace, wait_until

NAME = "sends"
CODE = """
def init_context(context):
    context.outputs.logs.send("started")

def handler(context, event):
    body = event.body.decode() if isinstance(event.body, bytes) else event.body
    outputs = context.outputs
    if event.path == "/called":
        outputs.logs.send(f"called with {body}", headers={"by": event.headers["X-Nuclio-Function"]})
        return "called"
    if body == "nowhere":
        outputs.nowhere.send(body)
    outputs.logs.send(f"got {body}")
    outputs.alerts.send({"body": body}, headers={"level": 3})
    outputs.command.send(body, id=7)
    outputs.state.send({"now": body}, id=7)
    if body == "call":
        outputs.own.send("me")
    if body == "once" and "x-nuclio-attempts" not in (event.headers or {}):
        raise ValueError("not yet")
    return f"fine {body}"
"""
CONFIG = """
spec:
  outputs:
    logs: {kind: rabbit-mq, queue: outputs/logs, durable: false}
    alerts: {kind: rabbit-mq, exchange: outputs/alerts, routingKey: high}
    command: {kind: mqtt, topic: "plant/{id}/cmd"}
    state: {kind: mqtt, topic: "plants/{id}/state", retain: true}
    own: {kind: function, name: sends, path: /called}
    nowhere: {kind: http, url: "http://127.0.0.1:9/", timeout: 1s}
    answers: {kind: rabbit-mq, queue: outputs/answers}
  onSuccess: answers
  triggers:
    in: {kind: rabbit-mq, attributes: {queueName: outputs/in, exchangeName: outputs, topics: [in]}}
"""


@pytest.fixture
def channel(workspace: Workspace) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(workspace.amqp_url))
    channel = connection.channel()
    yield channel
    for queue in ("outputs/logs", "outputs/alerts", "outputs/command", "outputs/answers"):
        channel.queue_delete(queue)
    channel.exchange_delete("outputs/alerts")
    connection.close()


def take(channel: Any, queue: str) -> list[tuple[bytes, Any, str]]:
    """Return what is in a queue: bodies, properties and routing keys."""
    found = []
    while (got := channel.basic_get(queue, auto_ack=True))[0]:
        method, properties, body = got
        found.append((body, properties, method.routing_key))
    return found


def ask(workspace: Workspace, body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", workspace.settings.ports.gateway, timeout=60)
    connection.request("POST", f"/{NAME}/", body, {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_outputs(workspace: Workspace, author: Callable[..., Path], channel: Any) -> None:
    author(NAME, CODE, CONFIG)
    workspace.invoke("deploy-function", NAME)
    bind(channel)
    # Each worker has sent one.
    assert {body for body, _, _ in take(channel, "outputs/logs")} == {b"started"}
    check_request(workspace, channel)
    check_retained(workspace)
    check_events(channel)
    check_what_is_gone(workspace, channel)
    check_refused(workspace, channel)
    check_declared(workspace)


def bind(channel: Any) -> None:
    """Have queues of our own for the exchanges that are sent to; the function has declared its own."""
    for queue, exchange, key in (
        ("outputs/alerts", "outputs/alerts", "#"),
        ("outputs/command", "amq.topic", "plant.#"),
    ):
        channel.queue_declare(queue)
        channel.queue_bind(queue, exchange, key)


def check_request(workspace: Workspace, channel: Any) -> None:
    """What is sent is there before the response is."""
    assert ask(workspace, "web") == (200, "fine web")
    ((log, properties, _),) = take(channel, "outputs/logs")
    ((alert, alert_properties, key),) = take(channel, "outputs/alerts")
    ((command, _, topic),) = take(channel, "outputs/command")
    ((answer, _, _),) = take(channel, "outputs/answers")
    assert (log, json.loads(alert), key) == (b"got web", {"body": "web"}, "high")
    assert (command, topic, answer) == (b"web", "plant.7.cmd", b"fine web")
    assert (properties.content_type, alert_properties.content_type) == ("text/plain", "application/json")
    assert alert_properties.headers["level"] == "3"
    assert properties.headers["x-nuclio-function"] == NAME
    assert properties.headers["traceparent"].startswith(f"00-{'a' * 32}-")
    assert properties.correlation_id == alert_properties.correlation_id
    assert len({properties.message_id, alert_properties.message_id}) == 2


def check_retained(workspace: Workspace) -> None:
    """Who subscribes later gets the last message of a topic that is retained."""
    found: list[Any] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set("guest", "guest")
    client.on_message = lambda _client, _data, message: found.append(message)
    client.on_connect = lambda client, *_: client.subscribe("plants/7/state")
    client.connect("127.0.0.1", workspace.settings.ports.mqtt)
    client.loop_start()
    wait_until(lambda: bool(found), what="the retained message")
    client.publish("plants/7/state", b"", qos=1, retain=True).wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()
    assert (found[0].topic, found[0].payload, found[0].retain) == ("plants/7/state", b'{"now": "web"}', True)


def check_events(channel: Any) -> None:
    """A message of the broker is acknowledged when what its event sent is confirmed; one that fails sends nothing."""
    for body in ("a", "once", "call", *map(str, range(50))):
        channel.basic_publish("outputs", "in", body.encode())
    found: list[tuple[bytes, Any, str]] = []

    def is_all() -> bool:
        found.extend(take(channel, "outputs/logs"))
        return len({body for body, _, _ in found}) >= 54

    wait_until(is_all, what="every message")
    bodies = [body for body, _, _ in found]
    assert sorted(bodies) == sorted(set(bodies)), "nothing came twice"
    assert {b"got once", b"called with me"} < set(bodies)
    assert next(properties for body, properties, _ in found if body == b"called with me").headers["by"] == NAME
    traces = {body: properties.headers["traceparent"].split("-")[1] for body, properties, _ in found}
    assert traces[b"called with me"] == traces[b"got call"], "the function that is called goes on with the trace"
    ids = [properties.message_id for _, properties, _ in found]
    assert len(set(ids)) == len(ids)
    assert channel.queue_declare("outputs/in", passive=True).method.message_count == 0


def check_what_is_gone(workspace: Workspace, channel: Any) -> None:
    """A queue or an exchange that was deleted is declared again, and nothing is lost."""
    take(channel, "outputs/answers")
    channel.queue_delete("outputs/logs")
    channel.exchange_delete("outputs/alerts")
    assert ask(workspace, "again") == (200, "fine again")
    assert [body for body, _, _ in take(channel, "outputs/logs")] == [b"got again"]
    assert [body for body, _, _ in take(channel, "outputs/answers")] == [b"fine again"]
    channel.exchange_declare("outputs/alerts", passive=True)


def check_refused(workspace: Workspace, channel: Any) -> None:
    """What cannot be sent fails the event, and nothing else of it leaves."""
    assert ask(workspace, "nowhere") == (503, "What the handler sent could not be delivered.")
    assert take(channel, "outputs/logs") == []

    def is_logged() -> bool:
        log = workspace.invoke("logs", NAME)
        return "the output nowhere: " in log.stdout + log.stderr

    wait_until(is_logged, what="the reason in the log")


def check_declared(workspace: Workspace) -> None:
    """What is deployed is declared: the broker has it again when it starts again, and `plan` tells what is missing."""
    definitions = json.loads((workspace.rendered / "rabbitmq/definitions/20-topology.json").read_text())
    assert "outputs/alerts" in {one["name"] for one in definitions["exchanges"]}
    assert {"outputs/logs", "outputs/answers"} <= {one["name"] for one in definitions["queues"]}
    exported = workspace.invoke("export-function", NAME)
    assert "the original Nuclio has none" in exported.stderr
