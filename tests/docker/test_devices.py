"""Devices on the real broker: each with a login of its own, that opens its own topics and nothing else."""

import json
import time
from collections.abc import Callable, Iterator

import pika
import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from pika.exceptions import AMQPError

from tests.docker.mqtt_device import MqttDevice, device
from tests.docker.workspace import Workspace, make_workspace, run_docker, wait_until

TYPES = {"sensor": 'publish: ["plant/{id}/+"]\nsubscribe: ["plant/{id}/cmd/#"]\n'}


def add(workspace: Workspace, name: str, *arguments: str) -> str:
    added = json.loads(workspace.invoke("device", "add", name, *arguments, "--json").stdout)
    assert (added["user"], added["port"]) == (name, workspace.settings.ports.mqtt)
    return str(added["password"])


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, foundation: None, used_images: set[str]
) -> Iterator[tuple[Workspace, dict[str, str]]]:
    """A stack with two devices; not the session's, since the first device ends the account of all."""
    workspace = make_workspace(tmp_path_factory.mktemp("devices") / "workspace", functions=False)
    folder = workspace.root / "device-types"
    folder.mkdir()
    for name, text in TYPES.items():
        (folder / f"{name}.yaml").write_text(text)
    try:
        workspace.invoke("up", timeout=280)
        yield workspace, {name: add(workspace, name, "--type", "sensor") for name in ("pump-7", "pump-70")}
    finally:
        used_images |= workspace.clean_up()


@pytest.fixture
def workspace(stack: tuple[Workspace, dict[str, str]]) -> Workspace:
    return stack[0]


@pytest.fixture
def logins(stack: tuple[Workspace, dict[str, str]]) -> dict[str, str]:
    return stack[1]


Trial = Callable[[MqttDevice], bool]
TRIALS: dict[str, Trial] = {
    "publishes to another's topic": lambda one: one.publish("plant/pump-70/t"),
    "publishes to its own commands": lambda one: one.publish("plant/pump-7/cmd/open"),
    "publishes below its own topic": lambda one: one.publish("plant/pump-7/a/b"),
    "publishes to no topic of a device": lambda one: one.publish("iot/sensors/temperature"),
    "publishes to another's topic, with dots": lambda one: one.publish("plant.pump-70.t"),
    "publishes to a long topic": lambda one: one.publish("plant/pump-7/" + "x" * 300),
    "keeps a message at another's topic": lambda one: one.publish("plant/pump-70/t", retain=True),
    "subscribes to all": lambda one: one.subscribe("#"),
    "subscribes to all plants": lambda one: one.subscribe("plant/#"),
    "subscribes to any device's commands": lambda one: one.subscribe("plant/+/cmd/#"),
    "subscribes to another's commands": lambda one: one.subscribe("plant/pump-70/cmd/#"),
    "subscribes to another's readings": lambda one: one.subscribe("plant/pump-70/t"),
    "subscribes to its own readings": lambda one: one.subscribe("plant/pump-7/t"),
    "shares a subscription to another's": lambda one: one.subscribe("$share/group/plant/pump-70/cmd/#"),
    "subscribes to the broker's own": lambda one: one.subscribe("$SYS/#"),
}


def test_a_device_has_its_own_topics_alone(workspace: Workspace, logins: dict[str, str]) -> None:
    """Kinds of trying that the issue of a stolen device would try; the other device sees none of them."""
    port = workspace.settings.ports.mqtt
    with device(port, "pump-70", logins["pump-70"]) as other:
        assert other.subscribe("plant/pump-70/cmd/#")
        for version in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5):
            with device(port, "pump-7", logins["pump-7"], version=version) as own:
                assert own.publish("plant/pump-7/t"), version
                assert own.subscribe("plant/pump-7/cmd/#"), version
                assert own.subscribe("plant/pump-7/cmd/open"), version
            for what, trial in TRIALS.items():
                with device(port, "pump-7", logins["pump-7"], version=version) as own:
                    assert own.is_in, (what, own)
                    assert not trial(own), f"{what} ({version})"
        refused = [
            ("pump-7", logins["pump-70"], ""),
            ("pump-7", "", ""),
            ("pump-7", logins["pump-7"], "pump-70"),
            ("pump-7", logins["pump-7"], "pump-7-2"),
            ("pump-70", logins["pump-7"], "pump-70"),
            ("nobody", logins["pump-7"], ""),
            ("../pump-7", logins["pump-7"], ""),
            ("guest", logins["pump-7"], ""),
            ("guest", "guest", ""),
        ]
        for user, password, client_id in refused:
            with device(port, user, password, client_id=client_id) as one:
                assert not one.is_in, (user, client_id)
        with device(port, "pump-7", logins["pump-7"], will="plant/pump-70/cmd/gone") as dying:
            dying.client._sock_close()
        time.sleep(1)
        assert other.is_in
        assert other.heard == []


def test_a_device_may_not_use_amqp_for_more(workspace: Workspace, logins: dict[str, str]) -> None:
    url = f"amqp://pump-7:{logins['pump-7']}@127.0.0.1:{workspace.settings.ports.amqp}"
    trials: dict[str, Callable[[pika.adapters.blocking_connection.BlockingChannel], object]] = {
        "declares a queue": lambda channel: channel.queue_declare("iot/logs"),
        "declares an exchange": lambda channel: channel.exchange_declare("mine"),
        "consumes another's queue": lambda channel: channel.basic_get("mqtt-subscription-pump-70qos1"),
        "purges another's queue": lambda channel: channel.queue_purge("mqtt-subscription-pump-70qos1"),
        "publishes to an exchange": lambda channel: channel.basic_publish("amq.direct", "plant.pump-7.t", b"1"),
        "publishes to a queue": lambda channel: channel.basic_publish("", "iot/logs", b"1"),
        "publishes to another's topic": lambda channel: channel.basic_publish("amq.topic", "plant.pump-70.t", b"1"),
        "binds to another's topic": lambda channel: (
            channel.queue_declare("mqtt-subscription-pump-7qos1", durable=True),
            channel.queue_bind("mqtt-subscription-pump-7qos1", "amq.topic", "plant.#.cmd.open"),
        ),
    }
    for what, trial in trials.items():
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(AMQPError):
                trial(channel)
                pytest.fail(what)


def test_a_device_is_locked_out_at_once_and_for_good(workspace: Workspace, logins: dict[str, str]) -> None:
    port = workspace.settings.ports.mqtt
    with device(port, "pump-7", logins["pump-7"]) as own:
        assert own.is_in
        workspace.invoke("device", "revoke", "pump-7")
        assert own.wait_out(2.0)
    (broker,) = workspace.containers("rabbitmq-mqtt")
    run_docker("restart", broker)
    wait_until(lambda: _is_refused(port, "pump-7", logins["pump-7"]), seconds=90, what="the broker, which refuses it")
    workspace.invoke("up", timeout=300)
    assert _is_refused(port, "pump-7", logins["pump-7"])
    with device(port, "pump-70", logins["pump-70"]) as other:
        assert other.is_in, "the other's login was not of the broker that went"
    again = json.loads(workspace.invoke("device", "rotate", "pump-7", "--json").stdout)["password"]
    assert _is_refused(port, "pump-7", logins["pump-7"])
    with device(port, "pump-7", again) as own:
        assert own.is_in
        workspace.invoke("device", "remove", "pump-7", "--yes")
        assert own.wait_out(2.0)
    assert "pump-7\n" not in workspace.invoke("devices").stdout
    secrets = [path for path in (workspace.root / "devices").iterdir() if again in path.read_text()]
    assert secrets == []


def _is_refused(port: int, user: str, password: str) -> bool:
    with device(port, user, password) as one:
        return one.connects != [] and not one.is_in
