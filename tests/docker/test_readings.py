"""Readings on a real stack: from a message to the store and out again, and what becomes of them when parts are away."""

import csv
import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from functools import reduce
from io import StringIO
from typing import Any

import pika
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from stack.config.data import Data, KeepRule
from stack.config.settings import Settings
from stack.dashboard.pages.metrics import build_queries
from stack.docker.stack import open_stack
from stack.errors import DataError
from stack.plan.grafana import list_queries
from stack.plan.recorder import NAME
from stack.rabbitmq.management import find_broker
from stack.state.workspace import Workspace as StackWorkspace
from stack.victoriametrics.client import ANY, Series, Store, find_store
from tests.docker.workspace import PATIENCE, ROOT, Workspace, run_docker, wait_until

KEEP: list[dict[str, Any]] = [
    {"topic": "plant/+/temperature", "labels": {"sensor": "{2}"}},
    {"topic": "plant/+/state", "values": {"degrees": "/t", "humidity": "/h"}, "labels": {"sensor": {"json": "/id"}}},
    {"topic": "any/#"},
    {"exchange": "iot/sensors", "key": "temperature", "metric": "celsius", "labels": {"sensor": "header.sensor"}},
]

SCRAPE_SECONDS = 15.0


@pytest.fixture
def kept(fresh_workspace: Workspace) -> Workspace:
    fresh_workspace.configure(data={"keep": KEEP})
    fresh_workspace.invoke("up", timeout=300)
    return fresh_workspace


def publish(workspace: Workspace, *messages: tuple[str, object]) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("guest", "guest")
    client.connect("127.0.0.1", workspace.settings.ports.mqtt)
    client.loop_start()
    for topic, body in messages:
        text = body if isinstance(body, str) else json.dumps(body)
        client.publish(topic, text, 1).wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()


def open_store(workspace: Workspace) -> Store:
    return find_store(open_stack(StackWorkspace(workspace.root)))


def count(store: Store, query: str) -> float:
    found = store.query(query)
    return found[0].values[0] if found else 0.0


def wait_for_count(store: Store, query: str, wanted: float) -> None:
    """Wait until as much is stored; a store that starts does not answer yet."""

    def is_there() -> bool:
        try:
            return count(store, query) == wanted
        except DataError:
            return False

    wait_until(is_there, seconds=60, what=f"{query} == {wanted:g}")


def container(workspace: Workspace, service: str) -> str:
    (found,) = workspace.containers(service)
    return found


def test_readings_are_kept_and_survive(kept: Workspace) -> None:
    """One stack for all: what is kept of which message, then each part away in turn, then deletion."""
    store = open_store(kept)
    state = ("plant/x/state", {"t": 3, "h": 50, "id": "s1", "ts": time.time() - 60})
    publish(
        kept,
        ("plant/oven/temperature", "21.5"),
        ("plant/oven/temperature", "warm"),
        state,
        state,
        ("any/thing", {"a": 1, "b": {"c": [2, True]}, "s": "x"}),
        ("any/text", "hello"),
        ("other/temperature", "5"),
    )
    send_over_amqp(kept)
    wait_for_count(store, 'count_over_time(celsius{sensor="s9"}[1h])', 1)
    wait_for_count(store, f"count({ANY})", 7)
    assert count(store, 'temperature{sensor="oven"}') == 21.5
    # Twice at one time is one point.
    assert count(store, 'count_over_time(humidity{sensor="s1"}[1h])') == 1
    assert {one.own_labels["field"] for one in store.query("reading")} == {"a", "b/c/0", "b/c/1"}
    # The letter goes another way than the readings.
    wait_until(lambda: list_errors(kept), what="the dead letter")
    (error,) = list_errors(kept)
    assert error == "the handler answered with status 500: the body is no number: warm"
    assert "tidegate-recorder has 1 dead letter" in kept.invoke("status").stderr
    look(kept)
    compare(kept)
    lose_parts(kept, store)
    find_own_figures(store, lambda: publish(kept, state))
    fill_disk(kept, store)
    kept.invoke("data", "forget", "temperature", "--yes")
    assert count(store, "count_over_time(temperature[1h])") == 0
    assert count(store, "count_over_time(humidity[1h])") == 1
    bring_back(kept, store)


def list_errors(workspace: Workspace) -> list[str]:
    """Return why messages are dead letters."""
    return [one["error"] for one in json.loads(workspace.invoke("dead-letters", "--json").stdout)]


def find_own_figures(store: Store, work: Callable[[], None]) -> None:
    """Have what a function's page begins its charts with, here of the recorder, and what Grafana's dashboards ask.

    A rate needs work between two looks at the figures, so that there is some as long as one is waited for.
    """

    def find(query: str) -> Sequence[Series]:
        work()
        return store.query(query)

    for figure, query in build_queries(NAME, SCRAPE_SECONDS).items():
        wait_until(lambda query=query: find(query), seconds=120, what=figure)
    assert count(store, f'min(nuclio_processor_memory_bytes{{function="{NAME}"}})') > 1e6
    assert count(store, f'max(nuclio_processor_cpu_seconds_total{{function="{NAME}"}})') > 0.05
    settings = Settings(data=Data(keep=(KeepRule(topic="#"),), grafana=True))
    variables = {"$metric": ".+", "$__rate_interval": "1m", "$__interval": "1m"}
    for query in list_queries(settings):
        text = reduce(lambda text, name: text.replace(name, variables[name]), variables, query)
        # The recorder takes no requests and has lost nothing, so that there may be no series of those.
        is_there = "haproxy" not in text and "dead_letter" not in text
        wait_until(lambda text=text, is_there=is_there: store.query(text) or not is_there, seconds=120, what=text)


def send_over_amqp(workspace: Workspace) -> None:
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        properties = pika.BasicProperties(headers={"sensor": "s9"})
        connection.channel().basic_publish("iot/sensors", "temperature", b"20", properties)


def look(workspace: Workspace) -> None:
    """Read them as a person does."""
    shown = workspace.invoke("readings", "temperature").stdout
    assert 'temperature{sensor="oven"}' in shown and "21.5" in shown
    rows = list(csv.DictReader(StringIO(workspace.invoke("readings", "degrees", "--format", "csv").stdout)))
    assert [(row["metric"], row["labels"], row["value"]) for row in rows] == [("degrees", '{"sensor": "s1"}', "3")]
    mean = workspace.invoke("readings", "avg(humidity)", "--every", "1m", "--format", "json").stdout
    assert json.loads(mean.splitlines()[-1])["value"] == 50
    assert "no readings of nothing" in workspace.invoke("readings", "nothing").stderr
    wrong = workspace.invoke("readings", "a{", check=False)
    assert wrong.returncode == 1 and "cannot read that" in wrong.stderr


def compare(workspace: Workspace) -> None:
    """Have the guide's function ask the store: in its container, and, where there is Node.js, on this machine."""
    text = (ROOT / "docs" / "guides" / "readings.md").read_text()
    config, python, script = re.findall(r"```\w+\n(?:#|//) functions/compare/\S+\n(.*?)```", text, re.S)
    workspace.write_function("compare", python, config, {"main.js": script})
    workspace.invoke("deploy-function", "compare")
    assert json.loads(workspace.invoke("invoke-function", "compare").stdout) == {"mean": 21.5}
    if shutil.which("node"):
        workspace.write_function("compare", "", f"{config}  runtime: nodejs\n", {"main.js": script})
        event = workspace.invoke("run-function", "compare", "--event", "-", input='{"body": ""}').stdout
        assert '{"mean":21.5}' in event
    workspace.invoke("delete-function", "compare", "--yes")


def lose_parts(workspace: Workspace, store: Store) -> None:
    """Kill the store and the recorder in turn while readings come: each is stored in the end, and once."""
    sent = 0
    faults: list[tuple[str, Callable[[str], Any]]] = [
        ("victoria-metrics", lambda name: run_docker("kill", name)),
        ("function-tidegate-recorder", lambda name: run_docker("exec", name, "sh", "-c", "kill -9 -1", check=False)),
    ]
    for service, break_it in faults:
        name = container(workspace, service)
        if service == "victoria-metrics":
            # What it has taken a moment ago is not on its disk yet.
            publish(workspace, *((f"plant/p{number}/state", state(sent + number)) for number in range(40)))
            sent += 40
            wait_for_count(store, 'sum(count_over_time(degrees{sensor=~"p.*"}[1h]))', sent)
            break_it(name)
        publish(workspace, *((f"plant/p{number}/state", state(sent + number)) for number in range(40)))
        sent += 40
        if service == "victoria-metrics":
            log = wait_for_log(workspace, "The store does not take readings; they wait")
            assert "victoria-metrics" in log
            run_docker("start", name)
        else:
            break_it(name)
        wait_for_count(store, 'sum(count_over_time(degrees{sensor=~"p.*"}[1h]))', sent)
    # Both at once, as the machine may: the recorder has acknowledged what the store has not written.
    publish(workspace, *((f"plant/p{number}/state", state(sent + number)) for number in range(40)))
    wait_for_count(store, 'sum(count_over_time(degrees{sensor=~"p.*"}[1h]))', sent + 40)
    both = [container(workspace, service) for service, _ in faults]
    run_docker("kill", *both)
    run_docker("start", *both)
    wait_for_count(store, 'sum(count_over_time(degrees{sensor=~"p.*"}[1h]))', sent + 40)
    assert len(list_errors(workspace)) == 1


def fill_disk(workspace: Workspace, store: Store) -> None:
    """Have the store want more room than any disk has: readings wait, which is told, and are stored when there is."""
    workspace.configure(data={"keep": KEEP, "disk_free": "1000000G"})
    assert "victoria-metrics takes no readings: " in workspace.invoke("up").stderr
    publish(workspace, ("plant/full/temperature", "9"))
    assert "the storage is in read-only mode" in wait_for_log(workspace, "in read-only mode")
    documents = {one["service"]: one for one in json.loads(workspace.invoke("status", "--json").stdout)}
    (problem,) = documents["victoria-metrics"]["problems"]
    assert "they wait" in problem["what"] and documents["victoria-metrics"]["is_full"]
    # And without a rule, whose messages the recorder is to get no more.
    workspace.configure(data={"keep": [rule for rule in KEEP if rule.get("topic") != "any/#"]})
    assert "takes no readings" not in workspace.invoke("up").stderr
    bindings = find_broker(open_stack(StackWorkspace(workspace.root))).bindings(f"{NAME}-topics")
    assert {one.key for one in bindings} == {"plant.*.temperature", "plant.*.state"}
    wait_for_count(store, 'count_over_time(temperature{sensor="full"}[1h])', 1)
    assert " points in " in workspace.invoke("data").stdout


def bring_back(workspace: Workspace, store: Store) -> None:
    """Have a backup bring readings back that are gone with their volume."""
    path, word = workspace.root.parent / "readings.tar.gz", {"TIDEGATE_PASSPHRASE": "correct horse battery"}
    workspace.invoke("backup", str(path), "--no-images", env=word)
    workspace.invoke("down", "--volumes", "--yes")
    workspace.invoke("restore", str(path), "--force", env=word)
    workspace.invoke("up")
    wait_for_count(store, 'count_over_time(humidity{sensor="s1"}[1h])', 1)


def state(number: int) -> dict[str, Any]:
    return {"t": number, "h": 1, "id": f"p{number}", "ts": time.time()}


def wait_for_log(workspace: Workspace, text: str) -> str:
    name = container(workspace, "function-tidegate-recorder")
    wait_until(lambda: text in run_docker("logs", name).stdout)
    return run_docker("logs", name).stdout
