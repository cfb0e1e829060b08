"""New functions, one for each kind of trigger, deployed as they are; each does what its file says."""

import json
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from stack.plan.scaffold import TRIGGERS
from tests.docker.workspace import PATIENCE, Workspace, list_images, wait_until

NAMES = {trigger: f"scaffold-{trigger}" for trigger in TRIGGERS}
NODEJS = "scaffold-nodejs"
TOPICS = {f"alerts/{name}" for name in (NAMES["mqtt"], NODEJS)}


@pytest.fixture
def deployed(fresh_workspace: Workspace) -> Workspace:
    """All four in one workspace, and that of MQTT in Node.js too."""
    for trigger, name, runtime in [*((*one, "python") for one in NAMES.items()), ("mqtt", NODEJS, "nodejs")]:
        repository = f"nuclio/processor-{name}"
        fresh_workspace.foreign.setdefault(repository, list_images(repository))
        fresh_workspace.invoke("new-function", name, "--trigger", trigger, "--runtime", runtime)
    _share(fresh_workspace)
    fresh_workspace.invoke("deploy-function", "--all", timeout=600)
    return fresh_workspace


@pytest.fixture
def alerts(deployed: Workspace) -> Iterator[tuple[Client, SimpleQueue[MQTTMessage]]]:
    """A client of the broker, and the alerts that it receives."""
    received: SimpleQueue[MQTTMessage] = SimpleQueue()
    granted: SimpleQueue[int] = SimpleQueue()

    def keep(_client: Client, _data: object, message: MQTTMessage) -> None:
        received.put(message)

    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("guest", "guest")
    client.on_message = keep
    client.on_subscribe = lambda *_: granted.put(1)
    client.connect("127.0.0.1", deployed.settings.ports.mqtt)
    client.loop_start()
    client.subscribe("alerts/#", qos=1)
    granted.get(timeout=PATIENCE)
    yield client, received
    client.disconnect()
    client.loop_stop()


def test_each_new_function_does_what_it_says(
    deployed: Workspace, alerts: tuple[Client, SimpleQueue[MQTTMessage]]
) -> None:
    answer = deployed.invoke("invoke-function", NAMES["http"], "--body", "21.5").stdout
    assert json.loads(answer) == {"celsius": 21.5, "fahrenheit": 70.7}
    client, received = alerts
    for value in (b"20", b"30"):
        client.publish("iot/sensors/temperature", value, qos=1).wait_for_publish(PATIENCE)
    alerts_by_topic = {one.topic: json.loads(one.payload) for one in (received.get(timeout=PATIENCE) for _ in TOPICS)}
    assert alerts_by_topic == {topic: {"value": 30, "limit": 25} for topic in TOPICS}
    deployed.invoke("client", "--protocol", "amqp", "--count", "2", "--rate", "0")
    for trigger, line in {"amqp": "Reading", "mqtt": "Alert", "cron": "Done", "http": "Converted"}.items():
        wait_until(lambda name=NAMES[trigger], line=line: line in _log(deployed, name), seconds=60, what=line)
    _check_plan(deployed)


def _check_plan(deployed: Workspace) -> None:
    """A change of what is shared is one of the functions that import it, and of no other."""
    (deployed.root / "functions/.shared/plant/__init__.py").write_text("CHANGED = True\n")
    changes = json.loads(deployed.invoke("plan", "--json", check=False).stdout)
    changed = {one["subject"] for one in changes if one["action"] != "keep"}
    assert changed == {NAMES["http"], NODEJS}, changes


def _share(workspace: Workspace) -> None:
    """Let a function of each runtime import what is in .shared."""
    shared = workspace.root / "functions/.shared/plant"
    shared.mkdir(parents=True)
    for name in ("__init__.py", "index.js"):
        (shared / name).touch()
    functions = workspace.root / "functions"
    python, script = functions / NAMES["http"] / "main.py", functions / NODEJS / "main.js"
    python.write_text(f"import plant\n{python.read_text()}")
    text = script.read_text().replace("exports.handler =", "export const handler =")
    # As an ECMAScript module.
    script.rename(script.with_suffix(".mjs")).write_text(f"import 'plant';\n{text}")


def _log(workspace: Workspace, name: str) -> str:
    return workspace.invoke("logs", name).stdout
