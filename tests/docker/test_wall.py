"""Walls around a hostile function: what it reaches of the broker and the stack when it runs whatever code it likes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pika
import pytest

from tests.docker.workspace import Workspace, fetch, wait_until

HOSTILE, VICTIM = "wall-hostile", "wall-victim"
# Runs the body, which leaves what it found out in `result`.
HOSTILE_CODE = """
def handler(context, event):
    scope = {}
    exec(event.body.decode(), scope)
    return scope["result"]
"""
HOSTILE_CONFIG = """
spec:
  env:
    - {name: BROKER_URL, valueFrom: {secretKeyRef: {name: broker, key: url}}}
    - {name: MQTT_URL, valueFrom: {secretKeyRef: {name: broker, key: mqtt}}}
  triggers:
    own: {kind: rabbit-mq, attributes: {queueName: wall/own, exchangeName: wall/exchange, topics: [own]}}
"""
VICTIM_CODE = """
def handler(context, event):
    context.logger.info_with("Heard", body=event.body.decode())
    if event.body == b"bad":
        raise ValueError("no")
"""
VICTIM_CONFIG = """
spec:
  triggers:
    own:
      kind: rabbit-mq
      attributes: {queueName: wall/victim, exchangeName: wall/exchange, topics: [word], maxRetries: 0}
"""

# Tries one action after the other over AMQP, each on a channel of its own; says which were refused.
AMQP = """
import os, pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["BROKER_URL"]))

def attempt(action):
    channel = connection.channel()
    try:
        action(channel)
        return "done"
    except pika.exceptions.ChannelClosedByBroker as error:
        return str(error.reply_code)

def publish(channel):
    channel.confirm_delivery()
    channel.basic_publish("", "wall/results", b"21.5", mandatory=True)

result = {
    queue: {
        "get": attempt(lambda channel: channel.basic_get(queue)),
        "purge": attempt(lambda channel: channel.queue_purge(queue)),
        "delete": attempt(lambda channel: channel.queue_delete(queue)),
        "unbind": attempt(lambda channel: channel.queue_unbind(queue, "wall/exchange", "word")),
    }
    for queue in QUEUES
}
result["exchange"] = attempt(lambda channel: channel.exchange_declare("wall/exchange", "topic", durable=False))
result["output"] = attempt(lambda channel: channel.queue_declare("wall/results", durable=True))
result["publish"] = attempt(publish)
result["own"] = attempt(lambda channel: channel.basic_get("wall/own"))
connection.close()
"""

MQTT = """
import os, threading
from urllib.parse import unquote, urlsplit
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

broker, heard, subscribed = urlsplit(os.environ["MQTT_URL"]), threading.Event(), threading.Event()
client = Client(CallbackAPIVersion.VERSION2)
client.username_pw_set(unquote(broker.username), unquote(broker.password))
client.on_connect = lambda client, *_: client.subscribe("wall/words", qos=1)
client.on_subscribe = lambda *_: subscribed.set()
client.on_message = lambda *_: heard.set()
client.connect(broker.hostname, broker.port)
client.loop_start()
subscribed.wait(20)
client.publish("wall/words", "21.5", qos=1).wait_for_publish(20)
result = {"heard": heard.wait(20)}
client.loop_stop()
"""

# Asks RabbitMQ's management, as the function itself and as the tutorial's account.
MANAGEMENT = """
import base64, os, urllib.error, urllib.request
from urllib.parse import unquote, urlsplit

def ask(user, password, path, method="GET"):
    request = urllib.request.Request(f"http://rabbitmq-mqtt:15672/api/{path}", method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code

own = urlsplit(os.environ["BROKER_URL"])
victim = "queues/%2F/wall%2Fvictim"
result = {
    "own": ask(unquote(own.username), unquote(own.password), "overview"),
    "overview": ask("guest", "guest", "overview"),
    "users": ask("guest", "guest", "users"),
    "purge": ask("guest", "guest", victim + "/contents", "DELETE"),
    "delete": ask("guest", "guest", victim, "DELETE"),
}
"""

# Knocks at every address and port, all at once; says where somebody answers.
SCAN = """
import socket
from concurrent.futures import ThreadPoolExecutor

def knock(place):
    try:
        with socket.create_connection(place, 3):
            return place
    except OSError:
        return None

def resolve(name):
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None

with ThreadPoolExecutor(64) as pool:
    found = [place for place in pool.map(knock, [(host, port) for host in HOSTS for port in PORTS]) if place]
result = {"open": found, "names": [name for name in NAMES if resolve(name)]}
"""


@pytest.fixture(scope="module")
def walls(workspace: Workspace) -> Iterator[Callable[..., Any]]:
    """Two functions side by side; what is called runs code in the hostile one."""
    workspace.write_function(HOSTILE, HOSTILE_CODE, HOSTILE_CONFIG)
    workspace.write_function(VICTIM, VICTIM_CODE, VICTIM_CONFIG)
    for name in (HOSTILE, VICTIM):
        workspace.invoke("deploy-function", name)

    def run(code: str, **names: Any) -> Any:
        head = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        status, text = fetch(workspace.url(HOSTILE), (head + code).encode(), timeout=90)
        assert status == 200, text
        return json.loads(text)

    yield run
    for name in (HOSTILE, VICTIM):
        workspace.invoke("delete-function", name, "--yes")


def publish(workspace: Workspace, body: bytes) -> None:
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("wall/exchange", "word", body, mandatory=True)


def test_functions_account_opens_its_own_queues_alone(workspace: Workspace, walls: Callable[..., Any]) -> None:
    publish(workspace, b"bad")
    wait_until(lambda: "wall/victim" in workspace.invoke("dead-letters", "--json").stdout, what="the dead letter")
    found = walls(AMQP, QUEUES=["wall/victim", "wall/victim.dead"])
    refused = dict.fromkeys(("get", "purge", "delete", "unbind"), "403")
    assert found == {
        "wall/victim": refused,
        "wall/victim.dead": refused,
        "exchange": "done",
        "output": "done",
        "publish": "done",
        "own": "done",
    }
    assert walls(MQTT) == {"heard": True}
    publish(workspace, b"after all")
    wait_until(lambda: "after all" in workspace.invoke("logs", VICTIM).stdout, what="the victim's log")


def test_management_is_closed_to_functions(walls: Callable[..., Any]) -> None:
    found = walls(MANAGEMENT)
    assert found["own"] == 401
    # As in the tutorial; it shows, and neither administers nor opens a function's queue.
    assert found["overview"] == 200
    assert {found["users"], found["purge"], found["delete"]} <= {401, 403}


def test_nothing_of_the_control_network_answers(workspace: Workspace, walls: Callable[..., Any]) -> None:
    places = {service: find_addresses(workspace, service) for service in ("gateway", "rabbitmq-mqtt", "dashboard")}
    control = f"{workspace.project}_control"
    assert set(places["dashboard"]) == {control}
    assert set(places["gateway"]) == {control, f"{workspace.project}_default"}
    bridges = [find_bridge(workspace, network) for network in (control, f"{workspace.project}_default", "bridge")]
    addresses = [address for found in places.values() for address in found.values()]
    ports = {8070, 8080, 8405, 5672, 15672, *workspace.settings.ports.model_dump().values()}
    names = ["dashboard", "scaler", "gateway-control", f"{workspace.project}-dashboard-1", "gateway"]
    found = walls(SCAN, HOSTS=[*addresses, *filter(None, bridges)], PORTS=sorted(ports), NAMES=names)
    allowed = {places[service][f"{workspace.project}_default"] for service in ("gateway", "rabbitmq-mqtt")}
    assert {host for host, _ in found["open"]} == allowed
    assert [port for host, port in found["open"] if port in (8070, 8405)] == []
    assert found["names"] == ["gateway"]


def find_addresses(workspace: Workspace, service: str) -> dict[str, str]:
    networks = workspace.inspect(service)["NetworkSettings"]["Networks"]
    return {name: one["IPAddress"] for name, one in networks.items()}


def find_bridge(workspace: Workspace, network: str) -> str:
    """Return the address of this machine on a network of Docker's."""
    template = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    return workspace.docker("network", "inspect", "--format", template, network, check=False).stdout.strip()


def test_account_ends_with_its_function(workspace: Workspace, author: Callable[..., Path]) -> None:
    author("wall-passing", VICTIM_CODE, VICTIM_CONFIG.replace("wall/victim", "wall/passing"))
    workspace.invoke("deploy-function", "wall-passing")
    file = workspace.rendered / "rabbitmq" / "definitions" / "15-accounts.json"
    assert "function-wall-passing" in file.read_text()
    assert "function-wall-passing" in list_users(workspace)
    (before,) = workspace.containers("rabbitmq-mqtt")
    workspace.invoke("delete-function", "wall-passing", "--yes")
    assert "function-wall-passing" not in file.read_text()
    assert "function-wall-passing" not in list_users(workspace)
    assert workspace.containers("rabbitmq-mqtt") == [before]


def list_users(workspace: Workspace) -> str:
    return workspace.execute("rabbitmq-mqtt", "rabbitmqctl", "list_users", "--formatter", "json").stdout
