"""A function as a local process, which is what the references are too."""

import http.client
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from stack.run.bench.bed import Bed
from stack.run.bench.port import find_port
from stack.run.bench.program import Program, run_program
from stack.run.bench.reference import PROGRAMS
from stack.run.workspace import PROGRAM, write_file

Trigger = dict[str, Any]


@dataclass(frozen=True)
class FunctionSpec:
    """What is deployed: a handler of templates/bench/handlers.py and its triggers."""

    handler: str
    triggers: Mapping[str, Trigger]

    def render(self) -> bytes:
        """Return processor.yaml."""
        spec: dict[str, Any] = {"handler": f"handlers:{self.handler}", "triggers": dict(self.triggers)}
        spec["loggerSinks"] = [{"level": "warn"}]
        return yaml.safe_dump({"metadata": {"name": "bench"}, "spec": spec}).encode()


def amqp_trigger(url: str, queue: str, workers: int = 1) -> Trigger:
    """Return a trigger that consumes a queue."""
    return {"kind": "rabbit-mq", "url": url, "numWorkers": workers, "attributes": {"queueName": queue}}


def http_trigger(port: int) -> Trigger:
    """Return a trigger that listens on a port."""
    return {"kind": "http", "url": f":{port}", "numWorkers": 1}


@contextmanager
def run_processor(bed: Bed, name: str, function: FunctionSpec, **environment: str) -> Iterator[Program]:
    """Run a function for the length of the block, once it is ready."""
    config = bed.scratch / f"{name}.yaml"
    write_file(config, function.render())
    health = find_port()
    command = [sys.executable, "-m", "stack.processor", "--config", str(config), "--secrets", str(bed.scratch)]
    command += ["--folder", str(PROGRAMS), "--health-port", str(health)]
    command += ["--metrics-port", str(find_port())]
    paths = {"PYTHONPATH": str(PROGRAM)}
    with run_program(command, bed.scratch / f"{name}.log", **paths, **environment) as program:
        program.wait_until(lambda: is_ready(health))
        yield program


def is_ready(port: int) -> bool:
    """Tell whether /ready of a function says yes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
