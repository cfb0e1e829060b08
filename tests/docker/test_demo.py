"""The demo, the device and the logger against the real stack."""

import csv
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pytest

from tests.docker.workspace import PATIENCE, Broker, Workspace

Deploy = Callable[..., None]
EXAMPLES = ("amqpconsume", "mqttconsume", "amqpevent", "mqttevent", "temperaturealert")
# Exchange, queue and key by which a reading reaches a function.
BINDINGS = (
    ("iot/sensors", "iot/sensors", "temperature"),
    ("iot/sensors", "iot/sensors/alert", "temperature"),
    ("amq.topic", "nuclio-nuclio-mqttconsume-mqtt", "iot.sensors.temperature"),
    ("amq.topic", "nuclio-nuclio-temperaturealert-mqtt", "iot.sensors.temperature"),
)


@contextmanager
def channel(workspace: Workspace) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(workspace.amqp_url))
    try:
        yield connection.channel()
    finally:
        connection.close()


@pytest.fixture
def quiet(workspace: Workspace, deployed: Deploy) -> Workspace:
    """The stack with every example deployed and nothing waiting on the queues that people read."""
    deployed(*EXAMPLES)
    with channel(workspace) as amqp:
        await_handled(amqp)
        for queue, durable in (("iot/logs", False), ("iot/alerts", True)):
            amqp.queue_declare(queue, durable=durable)
            amqp.queue_purge(queue)
    return workspace


def await_handled(amqp: Any) -> None:
    """Wait until what devices have sent is handled: feedback on one more reading comes after that on all before."""
    amqp.queue_declare("iot/logs", durable=False)
    for exchange, _, key in (BINDINGS[0], BINDINGS[2]):
        mark = uuid4().hex
        amqp.basic_publish(exchange, key, b"20", pika.BasicProperties(headers={"reading": mark}))
        wait_for(partial(take_answer, amqp, mark))


def take_answer(amqp: Any, reading: str) -> bool:
    """Take what is in iot/logs, up to what answers a reading; return whether that has come."""
    while (got := amqp.basic_get("iot/logs", auto_ack=True))[0]:
        if got[1].correlation_id == reading:
            return True
    return False


def count(workspace: Workspace, queue: str) -> int:
    with channel(workspace) as amqp:
        return int(amqp.queue_declare(queue, passive=True).method.message_count)


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def demo(workspace: Workspace, *options: str) -> dict[str, Any]:
    """Run a demo of which standard output is the document and nothing else."""
    document = json.loads(workspace.invoke("demo", "--json", *options).stdout)
    assert set(document) == {"sent", "handled", "logged", "lost", "alerts", "latency_ms", "seconds"}
    assert set(document["seconds"]) == {"images", "up", "deploy", "messages"}
    return dict(document)


def test_a_hundred_readings_within_fifteen_seconds(quiet: Workspace) -> None:
    for _ in range(3):
        start = time.monotonic()
        verdict = demo(quiet, "--count", "100", "--rate", "0")
        # The quickest counts: other work on the machine takes its time too.
        if (seconds := time.monotonic() - start) < 15:
            break
    assert seconds < 15
    assert (verdict["sent"], verdict["handled"], verdict["logged"], verdict["lost"]) == (100, 100, 100, 0)
    assert verdict["alerts"] == 10
    assert 0 < verdict["latency_ms"]["p50"] <= verdict["latency_ms"]["p99"]


@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
@pytest.mark.slow
def test_none_of_five_thousand_is_lost(quiet: Workspace, protocol: str) -> None:
    verdict = demo(quiet, "--count", "5000", "--rate", "0", "--protocol", protocol)
    assert (verdict["sent"], verdict["handled"], verdict["lost"]) == (5000, 5000, 0)
    assert verdict["alerts"] == 500


def test_both_protocols_at_once_each_with_its_own_readings(quiet: Workspace) -> None:
    verdict = demo(quiet, "--count", "30", "--rate", "60", "--protocol", "both", "--sensors", "3")
    assert (verdict["sent"], verdict["handled"], verdict["logged"], verdict["lost"]) == (60, 60, 60, 0)


def test_a_person_sees_each_reading_the_verdict_and_where_to_look_next(quiet: Workspace) -> None:
    shown = quiet.invoke("demo", "--count", "12", "--rate", "10").stdout
    assert shown.count(" amqpconsume  ") >= 12
    assert "is high, on average" in shown
    assert "lost     0" in shown
    assert f"http://127.0.0.1:{quiet.settings.ports.management}" in shown
    assert f"http://127.0.0.1:{quiet.settings.ports.dashboard}/demo" in shown
    assert quiet.url("amqpevent") in shown
    assert "invoke invoke-function amqpevent" in shown


def test_what_others_left_on_the_queues_stays_there(quiet: Workspace) -> None:
    with channel(quiet) as amqp:
        amqp.confirm_delivery()
        for number in range(3):
            amqp.basic_publish("", "iot/logs", f"Invoked Function amqpconsume on {number}".encode())
        amqp.basic_publish("", "iot/alerts", b'{"sensor": "boiler", "time": "2020-01-01T00:00:00+00:00"}')
    verdict = demo(quiet, "--count", "20", "--rate", "0")
    assert (verdict["logged"], verdict["lost"], verdict["alerts"]) == (20, 0, 2)
    wait_for(lambda: count(quiet, "iot/logs") == 3 and count(quiet, "iot/alerts") == 1)


def test_a_demo_beside_a_logger_says_so_instead_of_losing_half(quiet: Workspace) -> None:
    logger = quiet.start("logger")
    assert logger.stdout
    assert "Waiting for messages" in logger.stdout.readline()
    result = quiet.invoke("demo", "--count", "3", check=False)
    logger.send_signal(signal.SIGINT)
    output, _ = logger.communicate(timeout=PATIENCE)
    assert (logger.returncode, "Traceback" in output) == (0, False)
    assert result.returncode == 1
    assert "Another program takes what arrives on iot/logs" in result.stderr


@contextmanager
def deaf(workspace: Workspace) -> Iterator[None]:
    """Let no reading reach a function."""
    with channel(workspace) as amqp:
        for exchange, queue, key in BINDINGS:
            amqp.queue_unbind(queue, exchange, key)
    try:
        yield
    finally:
        with channel(workspace) as amqp:
            for exchange, queue, key in BINDINGS:
                amqp.queue_bind(queue, exchange, key)


@contextmanager
def asleep(workspace: Workspace, name: str, queue: str) -> Iterator[None]:
    """Let a function have no container; what came for it meanwhile is forgotten."""
    workspace.invoke("scale-function", name, "0")
    try:
        yield
    finally:
        with channel(workspace) as amqp:
            amqp.queue_purge(queue)
        workspace.invoke("scale-function", name, "1")


@pytest.mark.slow
def test_missing_feedback_is_an_error_that_says_where_to_look(quiet: Workspace) -> None:
    with asleep(quiet, "amqpconsume", "iot/sensors"):
        result = quiet.invoke("demo", "--count", "3", "--rate", "0", "--json", check=False)
    assert result.returncode == 1
    assert json.loads(result.stdout)["lost"] == 3
    assert "3 from amqpconsume" in result.stderr
    assert "invoke logs amqpconsume" in result.stderr


@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
def test_a_reading_that_no_function_hears_is_told(quiet: Workspace, protocol: str) -> None:
    with deaf(quiet):
        result = quiet.invoke("client", "--count", "2", "--rate", "0", "--protocol", protocol, check=False)
    assert result.returncode == 1
    told = "2 readings reached no queue: no function is listening; deploy one: `invoke deploy-function "
    assert f"{told}{protocol}consume`" in result.stderr


def interrupt(process: "subprocess.Popen[str]", lines: int) -> tuple[int, str]:
    """Press Ctrl-C after so many lines."""
    assert process.stdout
    shown = "".join(process.stdout.readline() for _ in range(lines))
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, shown + rest


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("client", "--count", "500", "--rate", "20"), 130),
        (("client", "--count", "500", "--rate", "20", "--protocol", "mqtt"), 130),
        (("demo", "--count", "500", "--rate", "10"), 130),
    ],
)
def test_ctrl_c_ends_it_at_once_and_quietly(quiet: Workspace, command: tuple[str, ...], status: int) -> None:
    process = quiet.start(*command)
    returncode, shown = interrupt(process, lines=12)
    assert (returncode, "Traceback" in shown) == (status, False)
    assert "sensor-1" in shown


@pytest.mark.slow
def test_a_restart_of_the_broker_in_the_middle_loses_no_mqtt_reading(quiet: Workspace, broker: Broker) -> None:
    process = quiet.start("demo", "--count", "60", "--rate", "5", "--protocol", "mqtt")
    assert process.stdout
    while "mqttconsume  " not in (line := process.stdout.readline()):
        assert line, "the demo ended before its first reading"
    time.sleep(2)
    broker.stop()
    broker.start()
    shown, _ = process.communicate(timeout=120)
    assert "RabbitMQ is there again" in shown
    assert process.returncode == 0, shown
    assert "lost     0" in shown


def test_the_logger_keeps_what_it_prints_and_leaves_the_rest(quiet: Workspace, tmp_path: Path) -> None:
    files = [tmp_path / f"feedback.{suffix}" for suffix in ("jsonl", "csv", "sqlite")]
    quiet.invoke("client", "--count", "10", "--rate", "0")
    wait_for(lambda: count(quiet, "iot/logs") == 10)
    for file in files:
        shown = quiet.invoke("logger", "--count", "3", "--output", str(file)).stdout.splitlines()
        assert [line.startswith(" [x] Received 'Invoked Function amqpconsume on ") for line in shown] == [True] * 3
    wait_for(lambda: count(quiet, "iot/logs") == 1)
    lines = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert len({line["correlation"] for line in lines}) == 3
    assert len(list(csv.reader(files[1].read_text().splitlines()))) == 4
    database = sqlite3.connect(files[2])
    assert database.execute("SELECT count(*) FROM feedback WHERE message LIKE 'Invoked%'").fetchone() == (3,)
    database.close()


@pytest.mark.slow
def test_a_logger_without_a_count_misses_nothing_and_survives_a_restart_of_the_broker(
    quiet: Workspace, broker: Broker
) -> None:
    logger = quiet.start("logger")
    assert logger.stdout
    assert "Waiting for messages" in logger.stdout.readline()
    quiet.invoke("client", "--count", "7", "--rate", "0")
    first = [logger.stdout.readline() for _ in range(7)]
    broker.stop()
    broker.start()
    assert "RabbitMQ is gone" in logger.stdout.readline()
    assert "RabbitMQ is there again" in logger.stdout.readline()
    with channel(quiet) as amqp:
        amqp.basic_publish("", "iot/logs", b"hello")
    assert logger.stdout.readline() == " [x] Received 'hello'\n"
    logger.send_signal(signal.SIGINT)
    rest, _ = logger.communicate(timeout=PATIENCE)
    assert all(line.startswith(" [x] Received 'Invoked Function amqpconsume on ") for line in first)
    assert (logger.returncode, "Traceback" in rest) == (0, False)
    wait_for(lambda: count(quiet, "iot/logs") == 0)


def test_a_device_finds_no_stack(fresh_workspace: Workspace) -> None:
    for command in (("client",), ("client", "--protocol", "mqtt"), ("logger",)):
        result = fresh_workspace.invoke(*command, check=False)
        assert result.returncode == 1
        assert "invoke up" in result.stderr
        assert "Traceback" not in result.stderr
