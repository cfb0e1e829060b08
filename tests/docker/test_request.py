"""Requests and their responses on the real stack: of devices, and of functions, in both runtimes."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.docker.workspace import PATIENCE, Workspace

Answer = Callable[[Client, MQTTMessage], Any]

PYTHON = """
import nuclio_sdk

def handler(context, event):
    if event.trigger.kind == "mqtt":
        if event.body == b"fail":
            raise ValueError("as asked")
        if event.body == b"no":
            return nuclio_sdk.Response({"why": "it is closed"}, "no", "text/plain", 409)
        return {"asked": event.body.decode()}
    if event.method == "PUT":
        return nuclio_sdk.Response({"x-seen": event.headers["X-Own"]}, event.body, "text/plain", 201)
    order = event.body
    try:
        if "call" in order:
            called = nuclio_sdk.Event(method="PUT", path="/a?b=1", body=b"called", headers={"X-Own": "yes"})
            response = context.platform.call_function(order["call"], called, timeout=30)
        else:
            response = context.request(
                order["topic"], order["body"], timeout=order["timeout"], response_topic=order.get("answers", "")
            )
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}
    body = response.body.decode() if isinstance(response.body, bytes) else response.body
    return {"body": body, "type": response.content_type, "status": response.status_code,
            "seen": response.headers.get("x-seen"), "why": response.headers.get("why")}
"""
NODE = """
exports.handler = async (context, event) => {
  const text = event.body.toString();
  if (event.trigger.kind === 'mqtt') {
    const refusal = new context.Response('no', { why: 'it is closed' }, 'text/plain', 409);
    return context.callback(text === 'no' ? refusal : { asked: text });
  }
  const headers = { 'x-seen': event.headers['X-Own'] };
  if (event.method === 'PUT') return context.callback(new context.Response(text, headers, 'text/plain', 201));
  const order = JSON.parse(text);
  try {
    const response = order.call
      ? await context.platform.call_function(
        order.call,
        { method: 'PUT', path: '/a?b=1', body: 'called', headers: { 'X-Own': 'yes' } },
        { timeout: 30 },
      )
      : await context.request(order.topic, order.body, { timeout: order.timeout, responseTopic: order.answers });
    const body = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
    const { 'x-seen': seen = null, why = null } = response.headers;
    context.callback({ body, type: response.content_type, status: response.status_code, seen, why });
  } catch (error) {
    context.callback({ error: error.name, text: error.message });
  }
};
"""
CONFIG = """
spec:
  runtime: {runtime}
  handler: main:handler
  triggers:
    asked: {{kind: mqtt, attributes: {{maxRetries: 0, subscriptions: [{{topic: asked/{name}, qos: 1}}]}}}}
"""


def post(workspace: Workspace, name: str, **order: Any) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", workspace.settings.ports.gateway, timeout=60)
    body = json.dumps({"timeout": 30, **order})
    connection.request("POST", f"/{name}/", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    assert answer.status == 200, found
    return dict(json.loads(found))


@contextmanager
def run_device(workspace: Workspace, topic: str, answer: Answer, version: Any) -> Iterator[None]:
    """Run a device that hears a topic; it is subscribed when this begins."""
    address = urlsplit(workspace.people_url)
    client = Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.username_pw_set(address.username or "", address.password)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda client, _data, message: answer(client, message)
    client.connect("127.0.0.1", workspace.settings.ports.mqtt)
    client.subscribe(topic, 1)
    client.loop_start()
    assert subscribed.wait(PATIENCE)
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()


def answer_properly(client: Client, message: MQTTMessage) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    asked: Any = message.properties
    properties.CorrelationData, properties.ContentType = asked.CorrelationData, "application/json"
    client.publish(asked.ResponseTopic, json.dumps({"got": message.payload.decode()}), 1, properties=properties)


def test_requests_and_calls(workspace: Workspace, author: Callable[..., Path]) -> None:
    """Each runtime asks devices and the other function, and calls it; no second deploy is needed for that."""
    author("askpy", PYTHON, CONFIG.format(runtime="python", name="askpy"))
    folder = author("askjs", "", CONFIG.format(runtime="nodejs", name="askjs"))
    (folder / "main.py").unlink()
    (folder / "main.js").write_text(NODE)
    workspace.invoke("deploy-function", "askpy")
    workspace.invoke("deploy-function", "askjs", timeout=280)
    for one, other in (("askpy", "askjs"), ("askjs", "askpy")):
        called = post(workspace, one, call=other)
        assert called == {"body": "called", "type": "text/plain", "status": 201, "seen": "yes", "why": None}
        asked = post(workspace, one, topic=f"asked/{other}", body="how are you")
        assert (asked["body"], asked["type"], asked["status"]) == ({"asked": "how are you"}, "application/json", 200)
        refused = post(workspace, one, topic=f"asked/{other}", body="no")
        assert (refused["body"], refused["status"], refused["why"]) == ("no", 409, "it is closed")
        missing = post(workspace, one, topic="asked/no/one", body="")
        assert missing == {"error": "RequestError", "text": "nothing has subscribed to 'asked/no/one'"}
        wrong = post(workspace, one, topic="asked/#", body="")
        assert wrong["error"] == "ValueError"
        assert "asked/#" in wrong["text"]
        with run_device(workspace, "pump/1/cmd", answer_properly, MQTTProtocolVersion.MQTTv5):
            assert post(workspace, one, topic="pump/1/cmd", body="open")["body"] == {"got": "open"}
        publish = lambda client, _: client.publish("pump/1/state", "is open", 1)  # noqa: E731 -- a device in a line
        with run_device(workspace, "pump/1/cmd", publish, MQTTProtocolVersion.MQTTv311):
            answer = post(workspace, one, topic="pump/1/cmd", body={"open": True}, answers="pump/1/state")
            assert answer["body"] == "is open"
            late = post(workspace, one, topic="pump/1/cmd", body="open", timeout=0.5)
            assert late["error"] == "TimeoutError"
            assert "within 0.5 s" in late["text"]
