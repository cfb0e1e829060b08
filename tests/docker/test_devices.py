"""Devices on the real broker: each with a login of its own, that opens its own topics and nothing else."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any
from unittest.mock import patch
from urllib.error import HTTPError

import pika
import pytest
import urllib3
from paho.mqtt.enums import MQTTProtocolVersion
from pika.credentials import ExternalCredentials
from pika.exceptions import AMQPError

from stack.config.device import Device, complete_device
from stack.config.network import SECURE
from stack.plan.device_program import BY_NAME, Endpoint, write_program
from stack.state.certificates import Pair, make_device_pair
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker import device_calls
from tests.docker.device_calls import find_presence
from tests.docker.mqtt_device import MqttDevice, device
from tests.docker.workspace import PATIENCE, Workspace, make_workspace, run_docker, wait_until
from tests.ports import free_ports

NAME = "plant.local"
TYPES = {
    "sensor": 'publish: ["plant/{id}/+"]\nsubscribe: ["plant/{id}/cmd/#"]\n',
    "slow": 'publish: ["plant/{id}/+"]\nrate: 100 B/s\n',
}
HERE = Path(__file__).parent
# Seconds within which a device is put out that was locked out, on a machine that has other work.
AT_ONCE = 20.0


def add(workspace: Workspace, name: str, *arguments: str) -> str:
    is_first = not (workspace.root / "devices").exists()
    answer = workspace.invoke("device", "add", name, *arguments, "--json")
    # It has gone by then, and may have been seen by its address alone.
    assert ("Within a week it was used by" in answer.stderr and "MQTT from" in answer.stderr) == is_first
    added = json.loads(answer.stdout)
    assert (added["user"], added["port"]) == (name, workspace.settings.ports.mqtts)
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
    ports = workspace.settings.ports.model_dump(exclude_unset=True)
    workspace.configure(ports=ports | dict(zip(SECURE, free_ports(len(SECURE)), strict=True)))
    workspace.invoke("certificates", "--name", NAME, "--ip", "192.0.2.7")
    try:
        workspace.invoke("up", timeout=280)
        with device(workspace.settings.ports.mqtt, "guest", "guest", client_id="old-sensor") as old:
            assert old.is_in
            found = {"pump-7": add(workspace, "pump-7", "--type", "sensor")}
            assert old.wait_out(AT_ONCE), "the account guest ends with its connections"
        yield workspace, found | {"pump-70": add(workspace, "pump-70", "--type", "sensor")}
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
    "shares a subscription to all": lambda one: one.subscribe("$share/group/#"),
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
        "consumes a queue of the stack's": lambda channel: channel.basic_get("iot/logs"),
        "purges another's queue": lambda channel: channel.queue_purge("mqtt-subscription-pump-70qos1"),
        "deletes another's queue": lambda channel: channel.queue_delete("mqtt-subscription-pump-70qos1"),
        "publishes to an exchange": lambda channel: channel.basic_publish("amq.direct", "plant.pump-7.t", b"1"),
        "publishes to a queue": lambda channel: channel.basic_publish("", "iot/logs", b"1"),
        "publishes to another's topic": lambda channel: channel.basic_publish("amq.topic", "plant.pump-70.t", b"1"),
        "binds to another's topic": lambda channel: (
            channel.queue_declare("mqtt-subscription-pump-7qos1", durable=True),
            channel.queue_bind("mqtt-subscription-pump-7qos1", "amq.topic", "plant.#.cmd.open"),
        ),
        "binds to all topics": lambda channel: channel.queue_bind("mqtt-subscription-pump-7qos1", "amq.topic", "#"),
        "binds to another exchange": lambda channel: channel.queue_bind(
            "mqtt-subscription-pump-7qos1", "amq.fanout", "#"
        ),
        "binds another's queue": lambda channel: channel.queue_bind(
            "mqtt-subscription-pump-70qos1", "amq.topic", "plant.pump-7.t"
        ),
        "binds exchanges": lambda channel: channel.exchange_bind("amq.fanout", "amq.topic", "#"),
        "publishes as another": lambda channel: channel.basic_publish(
            "amq.topic", "plant.pump-7.t", b"1", pika.BasicProperties(user_id="pump-70")
        ),
    }
    for what, trial in trials.items():
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(AMQPError):
                trial(channel)
                pytest.fail(what)
    management = f"http://127.0.0.1:{workspace.settings.ports.management}/api/definitions"
    refused = urllib3.request("GET", management, headers=urllib3.make_headers(basic_auth=f"pump-7:{logins['pump-7']}"))
    assert refused.status in (401, 403), "a device is let in to RabbitMQ's own pages"


def test_a_device_that_sends_too_much_is_cut_off(workspace: Workspace, logins: dict[str, str]) -> None:
    port, password = workspace.settings.ports.mqtt, add(workspace, "pump-slow", "--type", "slow")
    with device(port, "pump-slow", password) as own, device(port, "pump-70", logins["pump-70"]) as other:
        wait_until(lambda: not own.publish("plant/pump-slow/t", "x" * 2000) or own.wait_out(0.5), what="its end")
        assert _is_refused(port, "pump-slow", password)
        assert other.is_in and other.publish("plant/pump-70/t", "x" * 5000)
    assert "pump-slow sends" in workspace.invoke("logs", "devices").stdout
    workspace.invoke("device", "remove", "pump-slow", "--yes")


def count_connections(workspace: Workspace) -> dict[str, int]:
    """Return what `status` tells of connections, by account; guest, that has ended, was used within a week."""
    services = json.loads(workspace.invoke("status", "--json").stdout)
    (accounts,) = [one["accounts"] for one in services if "accounts" in one]
    assert any(one["account"] == "guest" and "MQTT from" in str(one["clients"]) for one in accounts)
    return {one["account"]: one["connections"] for one in accounts}


def test_it_is_known_whether_a_device_is_there(workspace: Workspace, logins: dict[str, str]) -> None:
    """Also to programs, such as functions, by a topic."""
    port, password = workspace.settings.ports.mqtt, logins["pump-70"]
    with hear(workspace, "tidegate.devices.pump-70.presence") as heard:
        with device(port, "pump-70", password) as one:
            assert one.is_in
            # That it went before may be said only now.
            wait_until(lambda: [said["connected"] for said in heard()][-1:] == [True], what="its presence")
            shown = json.loads(workspace.invoke("device", "show", "pump-70", "--json").stdout)["presence"]
            assert (shown["connected"], shown["protocol"]) == (True, "MQTT 3.1.1")
            with device(port, "pump-70", password):
                wait_until(lambda: "replaced" in reasons(heard()), what="that it took its own place")
        wait_until(lambda: reasons(heard())[-1:] == ["clean"], what="that it went")
        with device(port, "pump-70", password) as one:
            one.client._sock_close()
        wait_until(lambda: reasons(heard())[-1:] == ["lost"], what="that its connection broke")
        with device(port, "pump-70", password, keep_alive=1) as one:
            one.client.loop_stop()
            wait_until(lambda: reasons(heard())[-1:] == ["keep-alive"], what="that it was silent")
        assert [said["connected"] for said in heard()][-4:] == [True, False, True, False]


def show_twin(workspace: Workspace) -> dict[str, Any]:
    return dict(json.loads(workspace.invoke("device", "twin", "pump-70", "--json").stdout))


def read_bodies(one: MqttDevice) -> list[Any]:
    return [json.loads(body) for _, body in one.heard]


def test_a_device_is_told_how_it_is_to_be(workspace: Workspace, logins: dict[str, str]) -> None:
    port, password = workspace.settings.ports.mqtt, logins["pump-70"]
    topic = "tidegate/devices/pump-70/twin/"
    twin = json.loads(workspace.invoke("device", "twin", "pump-70", "--set", "fan=on", "--json").stdout)
    assert (twin["desired"], twin["desiredVersion"], twin["delta"]) == ({"fan": "on"}, 1, {"fan": "on"})
    with device(port, "pump-70", password) as one:
        assert one.subscribe(f"{topic}delta")
        first, second = {"version": 1, "delta": {"fan": "on"}}, {"version": 2, "delta": {"speed": 3}}
        wait_until(lambda: first in read_bodies(one), what="what it missed")
        assert one.publish(f"{topic}reported", '{"fan": "on", "t": 21}')
        # The broker has it, and the service a moment later.
        wait_until(lambda: show_twin(workspace)["reported"], what="what was reported")
        workspace.invoke("device", "twin", "pump-70", "--set", "speed=3")
        wait_until(lambda: second in read_bodies(one), what="what is new")
        # It is told at least once, so perhaps twice.
        assert all(told in (first, second) for told in read_bodies(one))
        assert not one.publish("tidegate/devices/pump-7/twin/reported", "{}")
    assert 'difference: {"speed": 3}' in workspace.invoke("device", "twin", "pump-70").stdout
    refused = workspace.invoke("device", "twin", "pump-70", "--set", "fan=off", "--version", "1", check=False)
    assert refused.returncode and "has version 2 by now" in refused.stderr
    history = json.loads(workspace.invoke("device", "twin", "pump-70", "--history", "--json").stdout)
    assert [(one["part"], one["version"]) for one in history] == [("desired", 2), ("reported", 1), ("desired", 1)]


def reasons(heard: list[dict[str, Any]]) -> list[str]:
    return [str(one["reason"]) for one in heard]


@contextmanager
def hear(workspace: Workspace, key: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Yield what returns the JSON of all that was published with a key meanwhile."""
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel, found = connection.channel(), list[dict[str, Any]]()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "amq.topic", key)

        def take() -> list[dict[str, Any]]:
            while (body := channel.basic_get(queue, auto_ack=True)[2]) is not None:
                found.append(json.loads(body))
            return found

        yield take


def test_a_device_is_called_and_answers(workspace: Workspace) -> None:
    password = add(workspace, device_calls.NAME)
    device_calls.check_answers(workspace, password)
    device_calls.check_absence(workspace, password)
    device_calls.check_functions(workspace, password)
    device_calls.check_guide(workspace, password)
    workspace.invoke("device", "revoke", device_calls.NAME)
    locked = device_calls.call(workspace, "open")
    assert (locked.returncode, "is locked out" in locked.stderr) == (1, True), locked
    unknown = device_calls.call(workspace, "open", name="none")
    assert (unknown.returncode, "There is no device none" in unknown.stderr) == (1, True), unknown


def test_a_device_is_locked_out_at_once_and_for_good(workspace: Workspace, logins: dict[str, str]) -> None:
    port = workspace.settings.ports.mqtt
    with device(port, "pump-7", logins["pump-7"]) as own:
        assert own.is_in
        # RabbitMQ tells of a connection a second after it began.
        wait_until(lambda: count_connections(workspace).get("devices") == 1, what="its connection, as status tells it")
        workspace.invoke("device", "revoke", "pump-7")
        assert own.wait_out(AT_ONCE)
    wait_until(lambda: find_presence(workspace, "pump-7") == (False, "revoked"), what="what is known of it")
    (broker,) = workspace.containers("rabbitmq-mqtt")
    run_docker("restart", broker)
    wait_until(lambda: _is_refused(port, "pump-7", logins["pump-7"]), seconds=90, what="the broker, which refuses it")
    workspace.invoke("up", timeout=300)
    assert _is_refused(port, "pump-7", logins["pump-7"])
    with device(port, "pump-70", logins["pump-70"]) as other:
        assert other.is_in, "the other's login was not of the broker that went"
        wait_until(lambda: find_presence(workspace, "pump-70")[0], what="what is known, of the new broker")
    again = json.loads(workspace.invoke("device", "rotate", "pump-7", "--json").stdout)["password"]
    assert _is_refused(port, "pump-7", logins["pump-7"])
    with device(port, "pump-7", again) as own:
        assert own.is_in
        workspace.invoke("device", "remove", "pump-7", "--yes")
        assert own.wait_out(AT_ONCE)
    assert "pump-7\n" not in workspace.invoke("devices").stdout
    secrets = [path for path in (workspace.root / "devices").iterdir() if again in path.read_text()]
    assert secrets == []


def _is_refused(port: int, user: str, password: str) -> bool:
    with device(port, user, password) as one:
        return one.connects != [] and not one.is_in


@pytest.fixture
def trust(workspace: Workspace) -> Path:
    """What a device is given to trust the broker by."""
    return workspace.rendered / "secrets" / "tls" / "mounted" / "authority.pem"


def shake_hands(trust: Path, port: int, *options: str) -> str:
    """Return what openssl tells of a connection."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(trust), *options]
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=PATIENCE, check=False).stdout


def renegotiate(trust: Path, port: int) -> str:
    """Return what openssl tells when it asks for another handshake, which TLS 1.3 has no more."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(trust), "-tls1_2"]
    with subprocess.Popen(command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, text=True) as process:
        assert process.stdin
        process.stdin.write("R\n")
        process.stdin.flush()
        return process.communicate(timeout=20)[1] if process.wait(PATIENCE) else ""


OLD = ("-cipher", "ALL:@SECLEVEL=0")


@pytest.mark.parametrize("name", SECURE)
def test_a_port_with_tls_is_who_it_says_and_takes_nothing_weak(workspace: Workspace, trust: Path, name: str) -> None:
    port = getattr(workspace.settings.ports, name)
    for option in (("-verify_hostname", NAME), ("-verify_ip", "192.0.2.7"), ("-verify_hostname", "localhost")):
        assert "Verification: OK" in shake_hands(trust, port, *option), option
    assert "Verification error" in shake_hands(trust, port, "-verify_hostname", "other.local")
    taken = {
        ("-tls1_3",): True,
        ("-tls1_2",): True,
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"): True,
        ("-tls1_1", *OLD): False,
        ("-tls1", *OLD): False,
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"): False,
        ("-tls1_2", "-cipher", "AES128-GCM-SHA256:AES128-SHA:DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"): False,
        ("-tls1_2", "-cipher", "NULL:aNULL:RC4:3DES:@SECLEVEL=0"): False,
    }
    for options, is_taken in taken.items():
        assert ("Cipher is (NONE)" not in shake_hands(trust, port, *options)) is is_taken, options
    assert "no renegotiation" in renegotiate(trust, port)


@dataclass(frozen=True)
class Papers:
    """The files of a device's certificate and its key."""

    certificate: Path
    key: Path

    def open_context(self, trust: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=trust)
        context.load_cert_chain(self.certificate, self.key)
        return context


def write_papers(folder: Path, pair: Pair) -> Papers:
    certificate, key = folder / f"{pair.serial}.pem", folder / f"{pair.serial}.key"
    certificate.write_bytes(pair.certificate_pem)
    key.write_bytes(pair.key_pem)
    return Papers(certificate, key)


def certify(workspace: Workspace, action: str, name: str, folder: Path) -> Papers:
    workspace.invoke("device", action, name, "--certificate", "--output", str(folder))
    key = folder / f"{name}.key"
    return Papers(
        (folder / f"{name}.pem").rename(folder / f"{key.stat().st_ino}.pem"),
        key.rename(folder / f"{key.stat().st_ino}.key"),
    )


def test_a_certificate_is_a_login_until_it_is_revoked(workspace: Workspace, trust: Path, tmp_path: Path) -> None:
    port = workspace.settings.ports.mqtts

    def connect(papers: Papers, client_id: str = "pump-90") -> AbstractContextManager[MqttDevice]:
        return device(port, "", "", client_id=client_id, tls=papers.open_context(trust))

    first = certify(workspace, "add", "pump-90", tmp_path)
    other = Papers(trust.with_name("server.pem"), trust.with_name("server.pem.key"))
    settings, elsewhere = workspace.settings, StackWorkspace(tmp_path / "elsewhere")
    strange = write_papers(tmp_path, make_device_pair(elsewhere, settings.project, device="pump-90"))
    with patch.multiple("stack.state.certificates", DEVICE_DAYS=-1, _BEFORE=timedelta(days=3)):
        ended = write_papers(
            tmp_path, make_device_pair(StackWorkspace(workspace.root), settings.project, device="pump-90")
        )
    with connect(first) as own:
        assert own.publish("devices/pump-90/t")
        assert own.subscribe("devices/pump-90/cmd")
        for papers in (other, strange, ended):
            with connect(papers) as one:
                assert not one.is_in, papers
        for client_id in ("pump-70", "pump-90-2"):
            with connect(first, client_id) as one:
                assert not one.is_in, client_id
        assert own.is_in
        assert own.heard == []
    with connect(first) as own:
        assert not own.publish("devices/pump-70/t")
    parameters = pika.ConnectionParameters(
        "localhost",
        settings.ports.amqps,
        credentials=ExternalCredentials(),
        ssl_options=pika.SSLOptions(first.open_context(trust), "localhost"),
    )
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("amq.topic", "devices.pump-90.t", b"1")
    with connect(first) as own:
        assert own.is_in
        workspace.invoke("device", "revoke", "pump-90")
        assert own.wait_out(AT_ONCE)
    second = certify(workspace, "rotate", "pump-90", tmp_path)
    for papers, is_good in ((first, False), (second, True)):
        with connect(papers) as one:
            assert one.is_in is is_good


def test_a_browser_speaks_mqtt_where_it_has_the_dashboard(
    workspace: Workspace, logins: dict[str, str], trust: Path
) -> None:
    port, context = workspace.settings.ports.https, ssl.create_default_context(cafile=trust)
    with device(port, "pump-70", logins["pump-70"], tls=context, transport="websockets") as phone:
        assert phone.publish("plant/pump-70/t")
        assert phone.subscribe("plant/pump-70/cmd/#")
    with device(port, "pump-70", "wrong", tls=context, transport="websockets") as phone:
        assert not phone.is_in
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(f"https://localhost:{port}/", timeout=PATIENCE) as answer:
        assert "; secure" in answer.headers["Set-Cookie"], "the dashboard believes the gateway that it has TLS"
    with pytest.raises(HTTPError, match="403"):
        opener.open(
            urllib.request.Request(f"https://localhost:{port}/mqtt", headers={"Origin": "https://other.example"})
        )
    for name, path, status in (("gateway_https", "/nothing/", 404), ("management_https", "/api/whoami", 401)):
        with pytest.raises(HTTPError) as caught:
            opener.open(f"https://localhost:{getattr(workspace.settings.ports, name)}{path}", timeout=PATIENCE)
        with caught.value as answer:
            assert answer.code == status, name


def test_another_certificate_is_taken_without_a_pause(
    workspace: Workspace, logins: dict[str, str], trust: Path
) -> None:
    ports, context = workspace.settings.ports, ssl.create_default_context(cafile=trust)
    with (
        device(ports.mqtts, "pump-70", logins["pump-70"], tls=context) as sensor,
        device(
            ports.https, "pump-71", add(workspace, "pump-71", "--type", "sensor"), tls=context, transport="websockets"
        ) as phone,
    ):
        assert phone.is_in
        workspace.invoke("certificates", "--name", "second.local")
        (broker,) = workspace.containers("rabbitmq-mqtt")
        # It would forget by itself, within two minutes, what it has read.
        run_docker("exec", broker, "rabbitmqctl", "eval", "ssl:clear_pem_cache().")
        for port in (ports.mqtts, ports.amqps, ports.https, ports.gateway_https, ports.management_https):
            # The gateway's process of before may take one more connection.
            wait_until(
                lambda port=port: "Verification: OK" in shake_hands(trust, port, "-verify_hostname", "second.local"),
                what=f"the new certificate at {port}",
            )
        assert sensor.publish("plant/pump-70/t")
        assert phone.publish("plant/pump-71/t")
        workspace.invoke("device", "revoke", "pump-71")
        assert phone.wait_out(AT_ONCE)
    assert workspace.containers("rabbitmq-mqtt") == [broker]


@pytest.fixture(scope="module")
def mqtt_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node.js finds mqtt.js."""
    folder = tmp_path_factory.mktemp("mqtt-js")
    command = [_find("npm"), "install", "--no-audit", "--no-fund", "mqtt@5.16.0"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder


# What runs each program, and the name of its file.
RUN = {
    "python": (sys.executable, "main.py"),
    "nodejs": ("node", "main.js"),
    "mosquitto": ("sh", "main.sh"),
    "micropython": ("micropython", "main.py"),
}
# A board has Wi-Fi, and this machine need not.
NETWORK = """
STA_IF = 0
class WLAN:
    def __init__(self, interface): pass
    def active(self, is_on): pass
    def connect(self, name, password): pass
    def isconnected(self): return True
"""


@pytest.fixture(scope="module")
def fans(stack: tuple[Workspace, dict[str, str]]) -> dict[str, str]:
    """A device for the programs, and one that hears it; their passwords."""
    return {"fan-1": add(stack[0], "fan-1"), "ear-1": add(stack[0], "ear-1", "--topics", "devices/fan-1/#")}


@pytest.mark.parametrize("name", RUN)
def test_program_that_is_shown_connects_sends_and_listens(
    workspace: Workspace, fans: dict[str, str], mqtt_js: Path, trust: Path, name: str
) -> None:
    ports, fan = workspace.settings.ports, complete_device("fan-1", Device(), types={})
    plain = Endpoint("127.0.0.1", ports.mqtt, ports.amqp)
    secure = Endpoint("localhost", ports.mqtts, ports.amqps, is_tls=True, authority=trust.read_text())
    with device(ports.mqtt, "ear-1", fans["ear-1"]) as ear:
        assert ear.subscribe("devices/fan-1/+")
        for endpoint in (plain, secure):
            ear.heard.clear()
            _run(mqtt_js, name, write_program(BY_NAME[name], endpoint, fan, fans["fan-1"]), ear)


def _run(folder: Path, name: str, text: str, ear: MqttDevice) -> None:
    program, file = RUN[name]
    (folder / "network.py").write_text(NETWORK)
    (folder / file).write_text(text)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "MICROPYPATH": f"{folder}:{HERE}"}
    with (folder / "told").open("wb") as told:
        running = subprocess.Popen(
            [_find(program), file], cwd=folder, env=environment, stdout=told, stderr=told, start_new_session=True
        )
    reading, command = ("devices/fan-1/temperature", b"21.5"), "devices/fan-1/cmd/open"
    try:
        wait_until(lambda: reading in ear.heard, what=f"a reading of {name}")
        # A program of the shell listens when it has sent.
        wait_until(lambda: ear.publish(command, "word") and "word" in _read(folder), what=f"{name} to hear")
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        print(_read(folder))


def _read(folder: Path) -> str:
    return (folder / "told").read_text()


def _find(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed; `invoke test` installs it")
    return path
