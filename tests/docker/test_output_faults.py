"""What is sent to outputs while workers die, the broker restarts or a queue is full: all arrives, and ids repeat."""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pytest

from stack.contract import BROKER_URL
from tests.docker.chaos import open_channel
from tests.docker.workspace import Broker, wait_until
from tests.process.processor.running import Processor, run_processor

PYTHON = """
import asyncio, os, signal
from pathlib import Path

MARKS = Path(__file__).parent

async def handler(context, events):
    for event in events if isinstance(events, list) else [events]:
        body = event.body if isinstance(event.body, str) else event.body.decode()
        first = not (MARKS / body).exists()
        (MARKS / body).touch()
        context.outputs.out.send(body, now=body.startswith("die"))
        if body.startswith("full"):
            context.outputs.full.send(body)
        if body.startswith("slow"):
            await asyncio.sleep(0.01)
        if body.startswith("die") and first:
            # What it sent is confirmed, and its event is not acknowledged.
            os.kill(os.getpid(), signal.SIGKILL)
"""
NODE = """
const fs = require('node:fs');
const path = require('node:path');

exports.handler = async (context, event) => {
  const body = event.body.toString();
  const mark = path.join(__dirname, body);
  const first = !fs.existsSync(mark);
  fs.writeFileSync(mark, '');
  context.outputs.out.send(body);
  if (body.startsWith('full')) context.outputs.full.send(body);
  if (body.startsWith('die') && first) process.kill(process.pid, 'SIGKILL');
  context.callback('');
};
"""
# Seconds in which the broker is back, and all that was on its way has come.
_PATIENCE = 60.0


class Bed:
    """Queues of the broker, and a function of this machine between them; the queue `full` has room for one message."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.url = broker.workspace.people_url
        self.folder = folder
        self.name = f"faults-{uuid4().hex[:8]}"
        self.queues = {part: f"{self.name}-{part}" for part in ("in", "batch", "mqtt", "out", "full")}
        with open_channel(self.url) as channel:
            limit = {"x-max-length": 1, "x-overflow": "reject-publish"}
            channel.queue_declare(self.queues["full"], durable=True, arguments=limit)
        self.found: defaultdict[str, list[str]] = defaultdict(list)

    def describe(self, runtime: str) -> dict[str, Any]:
        def consume(part: str, **attributes: Any) -> dict[str, Any]:
            attributes |= {"queueName": self.queues[part]}
            return {"kind": "rabbit-mq", "url": self.url, "numWorkers": 2, "attributes": attributes}

        topics = {"subscriptions": [{"topic": f"{self.name}/#", "qos": 1}], "queueType": "quorum"}
        triggers = {"in": consume("in"), "mqtt": consume("mqtt", **topics) | {"kind": "mqtt"}}
        if runtime == "python":
            batch = {"mode": "enable", "batchSize": 20, "timeout": "100ms"}
            triggers["batch"] = consume("batch") | {"batch": batch}
        outputs = {part: {"kind": "rabbit-mq", "queue": self.queues[part], "durable": True} for part in ("out", "full")}
        outputs["out"]["queueType"] = "quorum"
        return {"runtime": runtime, "handler": "main:handler", "triggers": triggers, "outputs": outputs}

    def publish(self, bodies: list[str], *, part: str = "in") -> None:
        with open_channel(self.url) as channel:
            exchange, key = ("amq.topic", f"{self.name}.x") if part == "mqtt" else ("", self.queues[part])
            for body in bodies:
                properties = pika.BasicProperties(message_id=f"id-{body}", delivery_mode=2)
                channel.basic_publish(exchange, key, body.encode(), properties)

    def collect(self) -> set[str]:
        """Take what has come out, and make room where there is none; return the bodies of all that came."""
        with open_channel(self.url) as channel:
            while (got := channel.basic_get(self.queues["out"], auto_ack=True))[0]:
                self.found[got[2].decode()].append(got[1].message_id)
            while (got := channel.basic_get(self.queues["full"], auto_ack=True))[0]:
                self.found[f"room for {got[2].decode()}"].append(got[1].message_id)
        return set(self.found)

    def wait_for(self, *bodies: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while missing := sorted(set(bodies) - self.collect()):
            log = (self.folder / "log.txt").read_text()[-3000:]
            assert time.monotonic() < deadline, f"{len(missing)} are missing, such as {missing[:5]}\n{log}"
            time.sleep(0.2)

    def count_waiting(self) -> int:
        with open_channel(self.url) as channel:
            declared = [channel.queue_declare(self.queues[part], passive=True) for part in ("in", "mqtt")]
        return sum(one.method.message_count for one in declared)

    def remove(self) -> None:
        with open_channel(self.url) as channel:
            for name in self.queues.values():
                for queue in (
                    name,
                    f"{name}.dead",
                    *(f"{name}.retry.{delay}" for delay in ("1000ms", "5000ms", "25000ms")),
                ):
                    channel.queue_delete(queue)


@pytest.fixture
def start(broker: Broker, tmp_path: Path) -> Iterator[Callable[[str, str, str], tuple[Bed, Processor]]]:
    with ExitStack() as stack:

        def start(runtime: str, file: str, code: str) -> tuple[Bed, Processor]:
            bed = Bed(broker, tmp_path)
            stack.callback(bed.remove)
            (tmp_path / BROKER_URL).write_text(bed.url)
            (tmp_path / "user").mkdir()
            (tmp_path / "user" / file).write_text(code)
            processor = stack.enter_context(run_processor(tmp_path, bed.describe(runtime), tmp_path / "user"))
            return bed, processor.wait_until_ready()

        yield start


@pytest.mark.slow
def test_nothing_is_lost(start: Callable[[str, str, str], tuple[Bed, Processor]], broker: Broker) -> None:
    """Two workers with an async handler, one trigger with batches, one of MQTT; the broker restarts meanwhile."""
    bed, _ = start("python", "main.py", PYTHON)
    many = [f"n-{number}" for number in range(300)]
    several = [f"b-{number}" for number in range(50)]
    odd = ["die-1", "full-1", "full-2", "die-2"]
    bed.publish([*many[:150], *odd, *many[150:]])
    bed.publish(several, part="batch")
    bed.publish(["over MQTT"], part="mqtt")
    bed.wait_for(*many, *several, *odd, "room for full-1", "room for full-2", "over MQTT")
    assert len(bed.found["die-1"]) > 1, "it was sent, its worker died, and it was sent again"
    slow = [f"slow-{number}" for number in range(400)]
    bed.publish(slow)
    broker.stop()
    broker.start()
    bed.wait_for(*slow)
    check_ids(bed)
    wait_until(lambda: not bed.count_waiting())


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")
@pytest.mark.slow
def test_nothing_is_lost_of_node(start: Callable[[str, str, str], tuple[Bed, Processor]]) -> None:
    bed, _ = start("nodejs", "main.js", NODE)
    many = [f"n-{number}" for number in range(500)]
    bed.publish([*many[:250], "die-1", "full-1", "full-2", *many[250:]])
    bed.wait_for(*many, "die-1", "room for full-1", "room for full-2")
    check_ids(bed)
    wait_until(lambda: not bed.count_waiting())


def check_ids(bed: Bed) -> None:
    """What came more than once has one id, and no two that differ share one."""
    ids = {body: set(found) for body, found in bed.found.items()}
    assert {body: found for body, found in ids.items() if len(found) > 1 and not body.startswith("b-")} == {}
    assert len(set.union(*ids.values())) >= len(ids)
