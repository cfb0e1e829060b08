"""The tutorial's example: its functions over HTTP, and its own Node.js device and logger."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest

from tests.docker.workspace import PATIENCE, Broker, Workspace

Deploy = Callable[..., None]

TUTORIAL = Path(__file__).parents[1] / "tutorial"
# What the tutorial's programs call the broker.
ADDRESS = "amqp://guest:guest@172.16.15.52:5672"


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tutorial's programs' one dependency."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("node")
    subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "amqplib"], cwd=folder, check=True, capture_output=True, timeout=120
    )
    return folder


@pytest.fixture
def amqp(workspace: Workspace) -> Any:
    connection = pika.BlockingConnection(pika.URLParameters(workspace.amqp_url))
    channel = connection.channel()
    channel.queue_declare("iot/logs", durable=False)
    channel.queue_purge("iot/logs")
    yield channel
    connection.close()


def read_feedback(channel: Any, seconds: float = PATIENCE) -> tuple[str, Any]:
    """Return the next message of iot/logs, and its properties."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        method, properties, body = channel.basic_get("iot/logs", auto_ack=True)
        if method:
            return body.decode(), properties
        time.sleep(0.05)
    raise AssertionError("there is no feedback")


def test_the_tutorials_own_device_and_logger_work_unchanged(
    workspace: Workspace, deployed: Deploy, amqp: Any, node_folder: Path
) -> None:
    deployed("amqpconsume")
    address = workspace.people_url.rstrip("/")
    assert "guest:guest@" in address
    for name in ("logger.js", "client.js"):
        (node_folder / name).write_text((TUTORIAL / name).read_text().replace(ADDRESS, address))
    logger = subprocess.Popen(["node", "logger.js"], cwd=node_folder, stdout=subprocess.PIPE, text=True)
    try:
        assert logger.stdout
        assert "Waiting for messages" in logger.stdout.readline()
        client = subprocess.run(
            ["node", "client.js", "5"], cwd=node_folder, capture_output=True, text=True, timeout=60, check=True
        )
        received = sorted(logger.stdout.readline() for _ in range(5))
    finally:
        logger.terminate()
        logger.communicate(timeout=10)
    sent = [line.split("'")[1] for line in client.stdout.splitlines() if "Sent" in line]
    assert len(sent) == 5
    assert received == sorted(f" [x] Received 'Invoked Function amqpconsume on {value}'\n" for value in sent)


@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
def test_a_number_over_http_becomes_a_message_and_comes_back_as_feedback(
    workspace: Workspace, deployed: Deploy, amqp: Any, protocol: str
) -> None:
    deployed(f"{protocol}consume", f"{protocol}event")
    assert workspace.invoke("invoke-function", f"{protocol}event", "--body", "21.50").stdout == "send 21.50"
    assert read_feedback(amqp)[0] == f"Invoked Function {protocol}consume on 21.50"
    value = workspace.invoke("invoke-function", f"{protocol}event").stdout.removeprefix("send ")
    assert 15 <= float(value) <= 30
    assert read_feedback(amqp)[0] == f"Invoked Function {protocol}consume on {value}"


def test_feedback_names_the_reading_that_it_answers(workspace: Workspace, deployed: Deploy, amqp: Any) -> None:
    deployed("amqpconsume")
    for properties in (pika.BasicProperties(message_id="mine"), pika.BasicProperties(headers={"reading": "mine"})):
        amqp.basic_publish("iot/sensors", "temperature", b"19", properties)
        text, answered = read_feedback(amqp)
        assert (text, answered.correlation_id) == ("Invoked Function amqpconsume on 19", "mine")


def test_a_body_that_is_no_number_is_refused_with_a_status(workspace: Workspace, deployed: Deploy) -> None:
    deployed("amqpevent")
    result = workspace.invoke("invoke-function", "amqpevent", "--body", "warm", check=False)
    assert result.returncode == 1
    assert result.stdout == "the body should be a number such as 21.5, not 'warm'"
    assert result.stderr.strip() == "amqpevent answered 400 Bad Request."
    both = workspace.start("invoke-function", "amqpevent", "--body", "warm").communicate()[0]
    assert both.splitlines()[-2:] == [result.stdout, result.stderr.strip()]


def test_a_sensor_that_gets_hot_and_cools_down_gives_two_alerts(
    workspace: Workspace, deployed: Deploy, amqp: Any
) -> None:
    deployed("temperaturealert")
    amqp.queue_declare("iot/alerts", durable=True)
    amqp.queue_purge("iot/alerts")
    for value in ("20", "warm", "30", "31", "20", "18", "17", "16", "15"):
        amqp.basic_publish(
            "iot/sensors", "temperature", value.encode(), pika.BasicProperties(headers={"sensor": "kiln"})
        )
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < 2 and time.monotonic() < deadline:
        method, _, body = amqp.basic_get("iot/alerts", auto_ack=True)
        found += [json.loads(body)] if method else []
    assert [(one["sensor"], one["state"], one["average"]) for one in found] == [
        ("kiln", "high", 27.0),
        ("kiln", "normal", 23.8),
    ]


def test_the_event_functions_survive_a_restart_of_the_broker(
    workspace: Workspace, deployed: Deploy, broker: Broker
) -> None:
    names = ("amqpevent", "mqttevent")
    deployed(*names)
    for name in names:
        assert workspace.invoke("invoke-function", name, "--body", "1").stdout == "send 1"
    broker.stop()
    away = workspace.invoke("invoke-function", "mqttevent", "--body", "2", check=False)
    assert (away.returncode, away.stdout) == (1, "the broker is away; try again in a moment")
    broker.start()
    deadline = time.monotonic() + PATIENCE
    for name in names:
        while workspace.invoke("invoke-function", name, "--body", "2", check=False).stdout != "send 2":
            assert time.monotonic() < deadline


def test_a_call_with_method_path_headers_and_a_body_from_anywhere(
    workspace: Workspace, author: Callable[..., Path], tmp_path: Path
) -> None:
    author(
        "echo",
        "def handler(context, event):\n"
        "    return '|'.join([event.method, event.path, event.fields.get('q', ''), event.get_header('X-One') or '',"
        " event.get_header('X-Two') or '', event.body.decode()])\n",
    )
    workspace.invoke("deploy-function", "echo")

    def call(*options: str, input: str | None = None) -> str:
        return workspace.invoke("invoke-function", "echo", *options, input=input).stdout

    (tmp_path / "body.txt").write_text("from a file")
    assert call() == "GET|/||||"
    assert call("--body", "hello") == "POST|/||||hello"
    assert call("--body", f"@{tmp_path / 'body.txt'}", "--method", "put") == "PUT|/||||from a file"
    assert call("--body", "-", input="from standard input") == "POST|/||||from standard input"
    assert call("--path", "a/b?q=1", "--header", "X-One: 1", "--header", "X-Two: 2") == "GET|/a/b|1|1|2|"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("nothere",), "There is no function nothere. Functions: amqpconsume"),
        (("temperaturealert",), "has no http trigger that is published"),
        (("amqpevent", "--header", "nonsense"), "should be like 'Name: value'"),
        (("amqpevent", "--header", "X-Sign: ☃"), "HTTP has no '☃' in a header; send it in the body."),
        (("amqpevent", "--body", "@/nowhere"), "--body @/nowhere: No such file or directory"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(
    workspace: Workspace, deployed: Deploy, options: tuple[str, ...], message: str
) -> None:
    deployed("amqpevent", "temperaturealert")
    result = workspace.invoke("invoke-function", *options, check=False)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_function_that_is_not_deployed_says_what_to_type(workspace: Workspace, author: Callable[..., Path]) -> None:
    author("idle", "def handler(context, event):\n    return ''\n")
    result = workspace.invoke("invoke-function", "idle", check=False)
    assert result.returncode == 1
    assert "idle is not deployed. Type `invoke deploy-function idle`" in result.stderr


def test_messages_are_published_and_watched(workspace: Workspace) -> None:
    watching = workspace.start("watch", "plant/+/temperature", "--count", "3", "--json")
    assert watching.stdout is not None
    assert watching.stdout.readline() == "Watching MQTT plant/+/temperature. To exit press CTRL+C\n"
    said = workspace.invoke("publish", "plant/oven/temperature", "--body", "21.5", "--count", "2").stderr
    assert said == "2 messages to the topic plant/oven/temperature; a queue took each.\n"
    over_amqp = ("--exchange", "amq.topic", "--key", "plant.hall.temperature", "--header", "unit: C")
    workspace.invoke("publish", *over_amqp, "--body", '{"degrees": 20}')
    told = [json.loads(line) for line in watching.communicate(timeout=60)[0].splitlines()]
    assert [(one["topic"], one["body"]) for one in told[:2]] == [("plant/oven/temperature", "21.5")] * 2
    assert (told[2]["topic"], told[2]["headers"]) == ("plant/hall/temperature", {"unit": "C"})
    assert told[2]["properties"]["content_type"] == "application/json"
    unheard = workspace.invoke("publish", "--exchange", "amq.topic", "--key", "heard.by.none").stderr
    assert "no queue took it, since nothing is bound to that" in unheard
    refused = workspace.invoke("publish", "--exchange", "not.there", "--key", "a", check=False).stderr
    assert "RabbitMQ refused: NOT_FOUND" in refused


@pytest.mark.parametrize("options", [(), ("a", "--key", "b"), ("a", "--count", "0"), ("a/#",), ("a", "--qos", "2")])
def test_a_message_for_nowhere_is_refused(workspace: Workspace, options: tuple[str, ...]) -> None:
    result = workspace.invoke("publish", *options, check=False)
    assert result.returncode == 1
    assert "defect" not in result.stderr
