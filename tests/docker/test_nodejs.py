"""Functions of Node.js on a real stack: their image, their packages, and the messages that they take ahead of time."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pytest

from tests.docker.workspace import Broker, Workspace
from tests.process.processor.running import FUNCTIONS, run_processor, wait_for

SOURCE = """\
const amqp = require('amqplib');
const moment = require('moment');
const pad = require('left-pad');

exports.handler = (context, event) => {
  const { word, day } = JSON.parse(event.body);
  const parsed = { padded: pad(word, 5), year: moment(day).year() };
  context.callback({ amqp: typeof amqp.connect, ...parsed, node: process.version });
};

// @nuclio.configure
//
// function.yaml:
//   spec:
//     handler: main:handler
//     build:
//       commands:
//         - npm install amqplib@0.10.9
//         - npm install -g moment@2.30.1
"""
PACKAGE = {"name": "padded", "version": "1.0.0", "dependencies": {"left-pad": "1.3.0"}}
LOCK = {
    "name": "padded",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": PACKAGE,
        "node_modules/left-pad": {
            "version": "1.3.0",
            "resolved": "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz",
            "integrity": (
                "sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA=="
            ),
        },
    },
}


def test_packages_of_the_build_and_of_the_function(workspace: Workspace) -> None:
    """Commands run at / before the code is there, and the lock file of package.json counts."""
    folder = workspace.write_function(
        "noded",
        "",
        "spec: {runtime: 'nodejs:22'}\n",
        {"main.js": SOURCE, "package.json": json.dumps(PACKAGE), "package-lock.json": json.dumps(LOCK)},
    )
    (folder / "main.py").unlink()
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "left-pad.js").write_text("throw new Error('of this machine');\n")
    told = workspace.invoke("deploy-function", "noded", timeout=280)
    request = urllib.request.Request(workspace.url("noded"), b'{"word": "abc", "day": "2017-05-30"}')
    with urllib.request.urlopen(request, timeout=20) as answer:
        seen = json.load(answer)
    assert (seen["amqp"], seen["padded"], seen["year"]) == ("function", "  abc", 2017)
    version = seen["node"].removeprefix("v").partition(".")[0]
    sentence = f"asks for Node.js 22 and runs on Node.js {version}"
    assert (sentence in told.stderr) == (version != "22")
    workspace.invoke("delete-function", "noded", "--yes")


@pytest.fixture
def queue(session_broker: Broker) -> Iterator[tuple[str, Any]]:
    name = f"test-{uuid4().hex[:8]}"
    with ExitStack() as stack:
        connection = pika.BlockingConnection(pika.URLParameters(session_broker.workspace.people_url))
        stack.callback(connection.close)
        yield name, connection.channel()


def test_only_the_message_that_ends_the_process_is_blamed(
    queue: tuple[str, Any], session_broker: Broker, tmp_path: Path
) -> None:
    """Though others are sent ahead: each of them is handled, in order, and the one comes again after a while."""
    name, channel = queue
    attributes = {"queueName": name, "maxRetries": 1, "retryDelays": ["500ms"]}
    trigger = {"kind": "rabbit-mq", "url": session_broker.workspace.people_url, "attributes": attributes}
    spec = {"runtime": "nodejs", "handler": "counts:handler", "triggers": {"sensors": trigger}}
    with run_processor(tmp_path, spec, FUNCTIONS / "nodejs") as processor:
        processor.wait_until_ready()
        for number in range(300):
            channel.basic_publish("", name, f"ok {number}".encode())
        channel.basic_publish("", name, b"exit")
        for number in range(300, 400):
            channel.basic_publish("", name, f"ok {number}".encode())
        processor.wait_for_log("handled ok 399")
        wait_for(lambda: processor.log.count("handled exit") == 2)
        wait_for(lambda: re.search(r"dead_lettered_events_total\{.*\} 1", processor.metrics()))
        log = processor.log
    _, properties, body = channel.basic_get(f"{name}.dead", auto_ack=True)
    assert body == b"exit"
    assert "the worker died: it ended with exit status 9" in str(properties.headers)
    handled = [line.rpartition(" ")[2] for line in log.splitlines() if line.startswith("handled ok")]
    assert set(handled) == {str(number) for number in range(400)}
    assert log.count("handled exit") == 2
