"""Messages of functions and devices as alerts, on a real stack that tells a webhook of them."""

import json
import time
from collections.abc import Callable
from typing import Any

import pika

from stack.contract import ALERTER, ALERTS
from stack.plan.function import service_name
from tests.docker.workspace import Workspace, run_docker, wait_until

FUNCTION = "pump"
CODE = """
def handler(context, event):
    context.outputs.alerts.send(event.body)
"""
CONFIG = """
spec:
  handler: main:handler
  runtime: python
  outputs:
    alerts: {kind: rabbit-mq, queue: iot/alerts, queueType: classic}
"""
HIGH = {"sensor": "oven", "state": "high", "average": 26.1, "threshold": 25.0}
# Finds what the webhook was told of an alert of a name.
Find = Callable[[str, str], list[dict[str, Any]]]


def check_messages(workspace: Workspace, find_documents: Find) -> None:
    """An output and a topic become alerts, which outlive those who keep them, and end by a message."""
    workspace.write_function(FUNCTION, CODE, CONFIG)
    workspace.invoke("deploy-function", FUNCTION)
    send(workspace, HIGH)
    wait_until(lambda: find_documents(FUNCTION, "firing"), what="the alert of an output")
    (alert,) = find_documents(FUNCTION, "firing")[0]["alerts"]
    assert alert["labels"] == {"alertname": FUNCTION, "sensor": "oven", "severity": "warning"}
    assert alert["annotations"]["text"] == "sensor: oven, state: high, average: 26.1, threshold: 25.0"
    check_queue(workspace)
    workspace.invoke("publish", ALERTS, "--body", json.dumps({"alert": "tank", "severity": "critical"}))
    workspace.invoke("publish", ALERTS, "--body", "poison")
    wait_until(lambda: find_documents("tank", "firing"), what="the alert of a topic")
    wait_until(lambda: ALERTER in workspace.invoke("dead-letters").stdout, what="the dead letter")
    letters = json.loads(workspace.invoke("dead-letters", ALERTER, "--json").stdout)
    assert ["it should be a JSON object" in one["error"] for one in letters] == [True]
    kill(workspace)
    fires = [one["name"] for one in json.loads(workspace.invoke("alerts", "--json").stdout)]
    assert {FUNCTION, "tank"} <= set(fires)
    send(workspace, {**HIGH, "state": "normal"})
    wait_until(lambda: find_documents(FUNCTION, "resolved"), what="the end of the alert")
    told = [[one["alerts"] for one in find_documents(name, "firing")] for name in (FUNCTION, "tank")]
    assert [len(one) for one in told] == [1, 1], told


def send(workspace: Workspace, fields: dict[str, Any]) -> None:
    workspace.invoke("invoke-function", FUNCTION, "--body", json.dumps(fields))


def check_queue(workspace: Workspace) -> None:
    """Make sure that consumers of the queue get what they always did."""
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        method, properties, body = connection.channel().basic_get(ALERTS, auto_ack=True)
    assert method and json.loads(body) == HIGH
    assert "BCC" not in properties.headers and "CC" not in properties.headers


def kill(workspace: Workspace) -> None:
    """End Alertmanager, which forgets what fires, and the alerter, which does not."""
    # It writes down each second whom it has told.
    time.sleep(2)
    containers = [workspace.containers(name)[0] for name in ("alertmanager", service_name(ALERTER))]
    run_docker("kill", *containers)
    run_docker("start", *containers)

    def is_known() -> bool:
        shown = workspace.invoke("alerts", "--json", check=False).stdout
        return shown.startswith("[") and {FUNCTION, "tank"} <= {one["name"] for one in json.loads(shown)}

    wait_until(is_known, what="the alerts after a restart")
