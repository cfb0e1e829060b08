"""Brokers that speak TLS only, with certificates made for the test."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.docker.workspace import Workspace, run_docker
from tests.ports import free_ports
from tests.process.processor.running import FUNCTIONS, PATIENCE, run_processor, wait_for

_CONF = """
loopback_users = none
log.console = true
log.console.level = warning
log.file = false
listeners.tcp = none
listeners.ssl.default = 5671
mqtt.listeners.tcp = none
mqtt.listeners.ssl.default = 8883
mqtt.allow_anonymous = false
ssl_options.cacertfile = /certificates/ca.pem
ssl_options.certfile = /certificates/server.pem
ssl_options.keyfile = /certificates/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""


@dataclass(frozen=True)
class SecureBroker:
    """A RabbitMQ that wants a client's certificate over TLS."""

    folder: Path
    container: str
    amqps: str
    mqtt_port: int

    def context(self) -> ssl.SSLContext:
        """Return what a client needs whom the broker lets in."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        return context

    def publish_amqp(self, queue: str, body: str) -> None:
        parameters = pika.URLParameters(self.amqps.replace("//", "//guest:guest@"))
        parameters.ssl_options = pika.SSLOptions(self.context(), "localhost")
        with pika.BlockingConnection(parameters) as connection:
            connection.channel().basic_publish("", queue, body.encode())

    def publish_mqtt(self, topic: str, body: str) -> None:
        client = Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("guest", "guest")
        client.tls_set_context(self.context())
        client.connect("localhost", self.mqtt_port)
        client.loop_start()
        client.publish(topic, body, qos=1).wait_for_publish(PATIENCE)
        client.disconnect()
        client.loop_stop()


def make_certificates(folder: Path) -> None:
    """Make an authority, and certificates of a broker and of a client signed by it."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    elliptic = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        "req", "-x509", *elliptic, "-subj", "/CN=test authority", *usage, "-days", "2", "-keyout", "ca.key",
        "-out", "ca.pem",
    )  # fmt: skip
    for name in ("server", "client"):
        names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("req", *elliptic, "-subj", f"/CN={name}", *names, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-copy_extensions", "copyall",
            "-days", "2", "-out", f"{name}.pem",
        )  # fmt: skip
    for path in folder.iterdir():
        path.chmod(0o644)


@pytest.fixture(scope="module")
def secure_broker(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    make_certificates(folder)
    (folder / "rabbitmq.conf").write_text(_CONF)
    (folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
    ports = free_ports(2)
    name = f"{workspace.project}-tls"
    image = str(workspace.inspect("rabbitmq-mqtt")["Config"]["Image"])
    mounts = [
        f"--volume={folder}:/certificates:ro",
        f"--volume={folder}/rabbitmq.conf:/etc/rabbitmq/conf.d/20-tls.conf:ro",
        f"--volume={folder}/enabled_plugins:/etc/rabbitmq/enabled_plugins:ro",
    ]
    published = [f"--publish=127.0.0.1:{ports[0]}:5671", f"--publish=127.0.0.1:{ports[1]}:8883"]
    run_docker("run", "--detach", "--name", name, *mounts, *published, image)
    broker = SecureBroker(folder, name, f"amqps://localhost:{ports[0]}", ports[1])
    try:
        # As long as other brokers get to start.
        wait_for(lambda: "completed with" in read_log(name), 90)
        yield broker
    finally:
        run_docker("rm", "--force", "--volumes", name)


def read_log(container: str) -> str:
    log = run_docker("logs", container, check=False)
    return log.stdout + log.stderr


def start(broker: SecureBroker, folder: Path, kind: str, **attributes: Any) -> Any:
    """Return a processor, to be entered, whose trigger is at the broker over TLS; the URL's account is a wrong one."""
    scheme = "amqps://wrong:wrong@" + broker.amqps.partition("//")[2] if kind == "rabbit-mq" else ""
    url = scheme or f"mqtts://wrong:wrong@localhost:{broker.mqtt_port}"
    trigger = {"kind": kind, "url": url, "username": "guest", "password": "guest", "attributes": attributes}
    env = [{"name": "OUTPUT", "value": str(folder / "events.jsonl")}]
    return run_processor(folder, {"triggers": {"sensors": trigger}, "env": env}, FUNCTIONS / "collect")


def read_bodies(folder: Path) -> list[str]:
    path = folder / "events.jsonl"
    return [json.loads(line)["body"] for line in path.read_text().splitlines()] if path.exists() else []


def own(broker: SecureBroker, *, inline: bool) -> dict[str, str]:
    """Return the attributes that a client needs whom the broker lets in: texts, or paths of files."""
    files = {"caCert": "ca.pem", "clientCertificate": "client.pem", "clientKey": "client.key"}
    paths = {name: broker.folder / file for name, file in files.items()}
    return {name: path.read_text() if inline else str(path) for name, path in paths.items()}


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("kind", ["rabbit-mq", "mqtt"])
def test_event_comes_over_tls(secure_broker: SecureBroker, tmp_path: Path, kind: str, inline: bool) -> None:
    queue = f"tls-{uuid4().hex[:8]}"
    attributes: dict[str, Any] = own(secure_broker, inline=inline)
    if kind == "mqtt":
        attributes |= {"subscriptions": [{"topic": f"{queue}/#", "qos": 1}], "clientID": queue}
    else:
        attributes |= {"queueName": queue}
    with start(secure_broker, tmp_path, kind, **attributes) as processor:
        processor.wait_until_ready()
        if kind == "mqtt":
            secure_broker.publish_mqtt(f"{queue}/a", "over mqtts")
        else:
            secure_broker.publish_amqp(queue, "over amqps")
        wait_for(lambda: read_bodies(tmp_path))
    assert read_bodies(tmp_path) == ["over mqtts" if kind == "mqtt" else "over amqps"]


@pytest.mark.parametrize("kind", ["rabbit-mq", "mqtt"])
def test_broker_of_an_unknown_authority_is_refused(secure_broker: SecureBroker, tmp_path: Path, kind: str) -> None:
    attributes = {"subscriptions": [{"topic": "a"}]} if kind == "mqtt" else {"queueName": "q"}
    with start(secure_broker, tmp_path, kind, **attributes) as processor:
        assert "no connection to the broker" in processor.wait_for_log("certificate verify failed")
        assert processor.health().status == 503


@pytest.mark.parametrize("kind", ["rabbit-mq", "mqtt"])
def test_missing_certificate_is_named(secure_broker: SecureBroker, tmp_path: Path, kind: str) -> None:
    attributes: dict[str, Any] = {"subscriptions": [{"topic": "a"}]} if kind == "mqtt" else {"queueName": "q"}
    with start(secure_broker, tmp_path, kind, **attributes, caCert="/nowhere/ca.pem") as processor:
        processor.wait_for_log("spec.triggers.sensors.attributes.caCert")
        assert processor.wait_for_end() == 1
