"""run-function beside the stack: the broker's messages reach a process on this machine."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pika
import pytest

from tests.docker.workspace import Broker, Workspace
from tests.ports import free_port
from tests.process.processor.running import wait_for

CODE = """
import os

def handler(context, event):
    with open(os.environ["OUTPUT"], "a") as output:
        print(event.body.decode(), event.path, file=output)
"""


@contextmanager
def running(workspace: Workspace, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = workspace.start("run-function", *arguments)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("is_named", [False, True])
def test_message_of_the_stacks_broker_reaches_a_local_process(
    workspace: Workspace, broker: Broker, author: Callable[..., Path], tmp_path: Path, is_named: bool
) -> None:
    output = tmp_path / "output.txt"
    output.touch()
    exchange = f"test-{uuid4().hex[:8]}"
    trigger = {"kind": "rabbit-mq", "attributes": {"exchangeName": exchange, "topics": ["t"]}}
    spec = {"triggers": {"sensors": trigger}, "env": [{"name": "OUTPUT", "value": str(output)}]}
    author("nearby", CODE, json.dumps({"spec": spec}))
    arguments = ["--broker", broker.amqp_url] if is_named else []
    with pika.BlockingConnection(pika.URLParameters(broker.amqp_url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange, "topic")

        def arrives() -> bool:
            channel.basic_publish(exchange, "t", b"reading")
            return f"reading {exchange}/t" in output.read_text()

        with running(workspace, "nearby", "--port", str(free_port()), *arguments):
            wait_for(arrives)
        # Only now: a process that still runs would declare them again.
        channel.exchange_delete(exchange)
        channel.queue_delete("nuclio-nuclio-nearby")
