"""The stack: up, what it offers then, down, and the credentials."""

import json
import re
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pika
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from stack.state.credentials import USERNAME
from tests.docker.workspace import PATIENCE, Broker, Workspace, fetch, run_docker, wait_until
from tests.ports import free_port
from tests.unit.dashboard.serving import Client

BROKER = "rabbitmq-mqtt"
# The exit status of a container that Docker had to kill, because it did not end by itself.
KILLED = 137

# Says what it was sent, so that its log tells that it is connected to the broker.
LISTENER = """
def handler(context, event):
    context.logger.info(f"heard {event.body.decode()}")
"""
LISTENER_CONFIG = """
spec:
  triggers:
    words:
      kind: rabbit-mq
      url: amqp://guest:guest@rabbitmq-mqtt:5672
      attributes: {exchangeName: words, topics: [word]}
"""


def connect(url: str) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(url))


def read_management(workspace: Workspace, path: str, user: str = "guest", password: str = "guest") -> tuple[int, Any]:
    port = workspace.settings.ports.management
    status, text = fetch(f"http://127.0.0.1:{port}{path}", user=user, password=password)
    return status, json.loads(text)


def connect_mqtt(workspace: Workspace, user: str, password: str) -> str:
    """Log in over MQTT, or without a name; return what the broker answers."""
    answers: list[str] = []
    answered = threading.Event()

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        answers.append(str(reason))
        answered.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="tidegate-test")
    client.on_connect = on_connect
    if user:
        client.username_pw_set(user, password)
    client.connect("127.0.0.1", workspace.settings.ports.mqtt)
    client.loop_start()
    assert answered.wait(PATIENCE)
    client.disconnect()
    client.loop_stop()
    return answers[0]


def test_up_again_changes_nothing(workspace: Workspace) -> None:
    # The folders of other tests' functions have come and gone.
    workspace.invoke("up")
    before = workspace.containers()
    assert workspace.containers(BROKER)
    result = workspace.invoke("up")
    assert "nothing was changed" in result.stderr
    assert workspace.containers() == before


def test_up_tells_what_runs_where(workspace: Workspace) -> None:
    ports = workspace.settings.ports
    text = " ".join(workspace.invoke("up").stdout.split())
    assert re.search(rf"{BROKER} healthy amqp://127.0.0.1:{ports.amqp} mqtt://127.0.0.1:{ports.mqtt}", text)
    assert f"http://127.0.0.1:{ports.management}" in text


def test_status_as_json(workspace: Workspace) -> None:
    result = workspace.invoke("status", "--json")
    (broker,) = [one for one in json.loads(result.stdout) if one["service"] == BROKER]
    assert (broker["state"], broker["health"]) == ("running", "healthy")
    assert f"amqp://127.0.0.1:{workspace.settings.ports.amqp}" in broker["address"]


def test_status_is_one_line_a_service_in_a_pipe(workspace: Workspace) -> None:
    lines = workspace.invoke("status").stdout.splitlines()
    assert len(lines) == 1 + len(workspace.containers())


def test_only_this_machine_reaches_the_ports(workspace: Workspace) -> None:
    bindings = workspace.inspect(BROKER)["NetworkSettings"]["Ports"].values()
    assert {one["HostIp"] for binding in bindings if binding for one in binding} == {"127.0.0.1"}


def test_every_protocol_listens(workspace: Workspace) -> None:
    status, overview = read_management(workspace, "/api/overview")
    assert status == 200
    listeners = {(one["protocol"], one["port"]) for one in overview["listeners"]}
    assert listeners >= {("amqp", 5672), ("mqtt", 1883), ("http", 15672), ("http/prometheus", 15692)}
    status, metrics = fetch(f"http://127.0.0.1:{workspace.settings.ports.metrics}/metrics")
    assert status == 200
    assert "rabbitmq_identity_info" in metrics


def test_guest_logs_in_over_mqtt(workspace: Workspace) -> None:
    assert connect_mqtt(workspace, "guest", "guest") == "Success"
    assert connect_mqtt(workspace, "guest", "wrong") != "Success"


def test_an_mqtt_client_without_a_name_is_the_guest(workspace: Workspace) -> None:
    assert connect_mqtt(workspace, "", "") == "Success"


def test_exchange_and_queue_of_the_tutorial_can_be_declared(workspace: Workspace) -> None:
    with connect(workspace.amqp_url) as connection:
        channel = connection.channel()
        channel.exchange_declare("iot/sensors", "topic", durable=False)
        channel.queue_declare("iot/logs", durable=False)
        # What functions of other tests have said.
        channel.queue_purge("iot/logs")
        channel.basic_publish("", "iot/logs", b"a line")
        wait_until(lambda: channel.basic_get("iot/logs", auto_ack=True)[2] == b"a line")
        channel.queue_delete("iot/logs")


def test_mqtt_topic_is_a_routing_key(workspace: Workspace) -> None:
    with connect(workspace.amqp_url) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "amq.topic", "iot.sensors.temperature")
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("guest", "guest")
        client.connect("127.0.0.1", workspace.settings.ports.mqtt)
        client.loop_start()
        client.publish("iot/sensors/temperature", "17.3", qos=1).wait_for_publish(PATIENCE)
        client.disconnect()
        client.loop_stop()
        wait_until(lambda: channel.basic_get(queue, auto_ack=True)[2] == b"17.3")


def test_durable_queue_outlives_a_stop_of_the_broker(broker: Broker) -> None:
    with connect(broker.amqp_url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        channel.basic_publish("", "kept", b"kept", pika.BasicProperties(delivery_mode=2))
    broker.stop()
    assert broker.workspace.inspect(BROKER)["State"]["ExitCode"] != KILLED
    broker.start()
    with connect(broker.amqp_url) as connection:
        channel = connection.channel()
        assert channel.basic_get("kept", auto_ack=True)[2] == b"kept"
        channel.queue_delete("kept")


def test_up_starts_a_broker_that_was_stopped(broker: Broker, workspace: Workspace) -> None:
    broker.stop()
    workspace.invoke("up")
    assert broker.is_running


def test_logs_of_the_broker(workspace: Workspace) -> None:
    assert BROKER in workspace.invoke("logs", BROKER).stdout
    assert BROKER in workspace.invoke("logs").stdout


def test_logs_follow_until_interrupted(workspace: Workspace) -> None:
    with workspace.start("logs", BROKER, "--follow") as process:
        try:
            assert process.stdout is not None
            # Not in the first line, perhaps: Compose puts the name before what the container wrote at once.
            assert any(BROKER in line for line in iter(process.stdout.readline, ""))
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert "Traceback" not in process.communicate(timeout=PATIENCE)[0]
        finally:
            process.kill()


def test_logs_of_no_one(workspace: Workspace) -> None:
    result = workspace.invoke("logs", "nobody", check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("There is no container of nobody. What runs: ")
    assert BROKER in result.stderr


def test_registry_is_asked_once(fresh_workspace: Workspace) -> None:
    fresh_workspace.configure(images={"source": "auto"})
    assert "Asking the image registry" in fresh_workspace.invoke("render").stderr
    assert "Asking the image registry" not in fresh_workspace.invoke("render").stderr


def volumes_of(workspace: Workspace) -> list[str]:
    label = f"label=com.docker.compose.project={workspace.project}"
    return run_docker("volume", "ls", "--quiet", "--filter", label).stdout.split()


def keep_message(workspace: Workspace) -> None:
    with connect(workspace.amqp_url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        channel.basic_publish("", "kept", b"kept", pika.BasicProperties(delivery_mode=2))


def count_kept(workspace: Workspace) -> int:
    with connect(workspace.amqp_url) as connection:
        return int(connection.channel().queue_declare("kept", durable=True).method.message_count)


def compose(workspace: Workspace, *arguments: str) -> str:
    """Run Docker Compose on the rendered file alone."""
    command = ["docker", "compose", "--file", str(workspace.rendered / "compose.yaml"), *arguments]
    result = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_data_lives_until_volumes_are_forgotten(fresh_workspace: Workspace) -> None:
    workspace = fresh_workspace
    workspace.invoke("up")
    keep_message(workspace)

    port = free_port()
    workspace.configure(ports=workspace.settings.ports.model_dump() | {"amqp": port})
    before = workspace.containers(BROKER)
    workspace.invoke("up")
    assert workspace.containers(BROKER) != before
    assert count_kept(workspace) == 1

    workspace.invoke("down")
    assert workspace.containers() == []
    compose(workspace, "up", "--detach", "--wait", "--quiet-pull")
    assert count_kept(workspace) == 1

    refusal = workspace.invoke("down", "--volumes", check=False)
    assert (refusal.returncode, "--yes" in refusal.stderr) == (1, True)
    assert {len(workspace.containers(name)) for name in (BROKER, "gateway")} == {1}

    workspace.invoke("down", "--volumes", "--yes")
    assert workspace.containers() == []
    assert volumes_of(workspace) == []


def test_credentials(fresh_workspace: Workspace) -> None:
    """From guest/guest on this machine to a password of its own, open to others."""
    workspace = fresh_workspace
    workspace.write_function("listener", LISTENER, LISTENER_CONFIG)
    workspace.invoke("up")
    workspace.invoke("deploy-function", "listener")
    say_word(workspace, "first")

    before = workspace.containers()
    workspace.configure(bind="0.0.0.0", plaintext=True)
    refusal = workspace.invoke("up", check=False)
    assert refusal.returncode == 1
    assert refusal.stderr.startswith("stack.yaml: bind: 0.0.0.0 ")
    assert "`invoke credentials`" in refusal.stderr
    assert workspace.containers() == before

    workspace.invoke("credentials")
    workspace.invoke("up")
    password = (workspace.rendered / "secrets" / "broker.password").read_text().strip()
    assert read_management(workspace, "/api/whoami")[0] == 401
    assert read_management(workspace, "/api/whoami", USERNAME, password)[1]["name"] == USERNAME
    assert fetch(f"http://127.0.0.1:{workspace.settings.ports.metrics}/metrics")[0] == 401
    assert connect_mqtt(workspace, "guest", "guest") != "Success"
    assert connect_mqtt(workspace, "", "") != "Success"
    assert connect_mqtt(workspace, USERNAME, password) == "Success"
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        connect(f"amqp://guest:guest@127.0.0.1:{workspace.settings.ports.amqp}/")
    say_word(workspace, "second")
    assert_hidden(workspace, password)
    assert "nothing was changed" in workspace.invoke("up").stderr
    (broker,) = workspace.containers(BROKER)
    assert_overlap(workspace, password)
    # All of that without a moment in which no one could log in.
    assert workspace.containers(BROKER) == [broker]


def assert_overlap(workspace: Workspace, password: str) -> None:
    """Change the account; both log in for a while, and then the new one alone."""
    secrets = workspace.rendered / "secrets"
    workspace.invoke("credentials", "--overlap", "1h")
    workspace.invoke("up")
    newer = (secrets / "broker.password").read_text().strip()
    assert connect_mqtt(workspace, USERNAME, password) == "Success"
    assert connect_mqtt(workspace, f"{USERNAME}-2", newer) == "Success"
    tokens = secrets / "gateway/bearer"
    assert len(tokens.read_text().split()) == 2
    for path in (secrets / ".former-credentials", secrets / ".gateway"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"until": 1}))
    # The dashboard sees to it.
    wait_until(lambda: len(tokens.read_text().split()) == 1, seconds=90, what="the end of the gateway's login before")
    wait_until(lambda: not (secrets / ".former-credentials").exists(), seconds=90, what="the end of the overlap")
    assert connect_mqtt(workspace, USERNAME, password) != "Success"
    assert connect_mqtt(workspace, f"{USERNAME}-2", newer) == "Success"


def say_word(workspace: Workspace, word: str) -> None:
    """Publish to the listener; wait until it has logged it."""
    with connect(workspace.amqp_url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("words", "word", word.encode(), mandatory=True)
    wait_until(lambda: f"heard {word}" in workspace.invoke("logs", "listener").stdout, what=f"heard {word}")


def assert_hidden(workspace: Workspace, password: str) -> None:
    """Look for the password wherever others can see."""
    assert len(password) >= 24
    containers = workspace.containers()
    for container in containers:
        assert password not in run_docker("inspect", container).stdout
        logs = run_docker("logs", container)
        assert password not in logs.stdout + logs.stderr
        image = run_docker("inspect", "--format", "{{.Image}}", container).stdout.strip()
        assert password not in run_docker("history", "--no-trunc", image).stdout
    holders = {
        path for path in workspace.rendered.rglob("*") if path.is_file() and password.encode() in path.read_bytes()
    }
    secrets = workspace.rendered / "secrets"
    assert holders == {secrets / "broker.password"}
    own = urlsplit((secrets / "mounted" / "broker.url.listener").read_text()).password
    assert own not in (None, password)
    assert own not in (workspace.rendered / "rabbitmq/definitions/15-accounts.json").read_text()
    assert mode_of(secrets / "broker.password") == 0o600
    # What is mounted can be read by a container's user; this keeps everybody else of this machine out.
    assert mode_of(secrets) == 0o700
    for task in ("status", "functions", "logs"):
        result = workspace.invoke(task)
        assert password not in result.stdout + result.stderr


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def read_plan(workspace: Workspace) -> dict[str, str]:
    """What is not as it should be, and what is done about it; the exit status tells whether there is anything."""
    result = workspace.invoke("plan", "--json", check=False)
    found = {one["subject"]: f"{one['action']}: {one['reason']}" for one in json.loads(result.stdout)}
    pending = {subject: what for subject, what in found.items() if not what.startswith("keep: ")}
    assert result.returncode == (2 if pending else 0), result.stderr
    return pending


def assert_one_fails_and_others_do_not(workspace: Workspace) -> None:
    """Deploy all functions, two of which cannot be: one is wrong, one does not come up."""
    broken = workspace.write_function("driftbroken", "from nowhere import handler\n")
    wrong = workspace.write_function("driftwrong", "", "spce: {}\n")
    result = workspace.invoke("deploy-function", "--all", check=False)
    assert result.returncode == 1
    assert "driftcode, driftcut, driftgone, driftstop: ready." in result.stderr
    assert "driftbroken was not deployed: function-driftbroken ended." in result.stderr
    assert "driftwrong was not deployed: functions/driftwrong/function.yaml: spce: is not a known key" in result.stderr
    for folder in (broken, wrong):
        shutil.rmtree(folder)
    workspace.invoke("up")


def test_plan_finds_drift_and_up_repairs_it(fresh_workspace: Workspace) -> None:
    workspace = fresh_workspace
    for name in ("driftgone", "driftstop", "driftcode", "driftcut"):
        workspace.write_function(name, "def handler(context, event):\n    return 'one'\n")
    assert read_plan(workspace)["driftgone"] == "create: is not deployed"
    assert_one_fails_and_others_do_not(workspace)
    assert read_plan(workspace) == {}

    run_docker("rm", "--force", *workspace.containers("function-driftgone"))
    run_docker("stop", *workspace.containers("function-driftstop"))
    (cut,) = workspace.containers("function-driftcut")
    run_docker("network", "disconnect", f"{workspace.project}_default", cut)
    compose(workspace, "up", "--detach", "--no-recreate", "--scale", "function-driftcode=2", "function-driftcode")
    (workspace.rendered / "rabbitmq" / "rabbitmq.conf").write_text("# by hand\n")
    (workspace.root / "functions" / "driftcode" / "main.py").write_text("def handler(context, event):\n    return 2\n")
    before = workspace.containers()
    assert read_plan(workspace) == {
        "function-driftgone": "create: has no container",
        "function-driftstop": "start: is stopped",
        "function-driftcode": "remove: 1 more than the 1 wanted",
        "function-driftcut": "replace: is cut off from the stack's network",
        "rabbitmq/rabbitmq.conf": "write: differs from what is rendered",
        "driftcode": "replace: its code changed, or what its image stands on",
    }
    assert workspace.containers() == before

    said = workspace.invoke("up").stderr
    for line in ("function-driftgone: create: has no container", "function-driftstop: start: is stopped"):
        assert line in said
    assert read_plan(workspace) == {"driftcode": "replace: its code changed, or what its image stands on"}
    assert len(workspace.containers()) == len(before)  # one was gone, one was too many
    workspace.configure(namespace="plant")
    assert read_plan(workspace)["function-driftgone"] == "replace: its configuration changed"
    assert_dashboard_deploys_and_stays(workspace)


def assert_dashboard_deploys_and_stays(workspace: Workspace) -> None:
    """Have the dashboard deploy while the gateway is to be started, and the dashboard itself is to be replaced."""
    workspace.configure(namespace="nuclio", dashboard={"session_hours": 3})
    before = workspace.containers("dashboard")
    run_docker("stop", *workspace.containers("gateway"))
    client = Client(workspace.settings.ports.dashboard)
    asked = client.send("POST", "/functions/driftcode/deploy", b"", content_type="application/x-www-form-urlencoded")
    assert asked.status == 204

    def answers() -> bool:
        with suppress(OSError):
            return fetch(workspace.url("driftcode")) == (200, "2")
        return False

    wait_until(answers, seconds=90, what="the function")
    assert workspace.containers("dashboard") == before
    assert read_plan(workspace)["dashboard"].startswith("replace: ")
