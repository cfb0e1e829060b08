"""The time from a container's start until its function is ready; Docker's own part is in neither figure."""

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from stack.bench.environment import (
    PROGRAMS,
    BenchEnv,
    Contestants,
    FunctionSpec,
    amqp_trigger,
    find_port,
    http_trigger,
    is_ready,
    run_processor,
)
from stack.bench.events import open_queue
from stack.bench.program import run_command, run_program
from stack.bench.rows import OWN, Figures
from stack.contract import HEALTH_PORT, HTTP_PORT
from stack.errors import StackError
from stack.plan.broker import AMQP_PORT, SERVICE
from stack.state.workspace import write_file

_CONFIG = "/etc/nuclio/config/processor/processor.yaml"
_READY_SECONDS = 30.0
_LOOK = 0.002
_SECONDS_AND_MORE = re.compile(r"(\.\d{6})\d*")


def open_start(env: BenchEnv, stack: ExitStack) -> Contestants:
    """Compare a function with the import of what it stands on, in containers of the same image."""
    return {OWN: partial(_measure_function, env), "import": partial(_measure_import, env)}


def _measure_function(env: BenchEnv) -> Figures:
    with open_queue(env.broker.amqp_url) as queue:
        url = env.broker.credentials.url(SERVICE, AMQP_PORT)
        triggers = {"queue": amqp_trigger(url, queue), "http": http_trigger(HTTP_PORT)}
        config = env.scratch / "container" / "processor.yaml"
        write_file(config, FunctionSpec("echo", triggers).render())
        mounts = ["--volume", f"{config}:{_CONFIG}:ro", "--volume", f"{PROGRAMS}:/opt/nuclio:ro"]
        options = ["--network", env.network, "--publish", f"127.0.0.1::{HEALTH_PORT}", *mounts]
        with run_container([*options, env.processor_image]) as container:
            return {"time": _wait_until_ready(container)}


def _measure_import(env: BenchEnv) -> Figures:
    command = ["python3", "-c", "import pika, nuclio_sdk"]
    with run_container([env.processor_image, *command]) as container:
        run_command(["docker", "wait", container])
        state = _inspect(container)["State"]
        return {"time": _read_time(state["FinishedAt"]) - _read_time(state["StartedAt"])}


def _wait_until_ready(container: str) -> float:
    """Return the seconds from its start until it was ready."""
    document = _inspect(container)
    began = _read_time(document["State"]["StartedAt"])
    port = int(document["NetworkSettings"]["Ports"][f"{HEALTH_PORT}/tcp"][0]["HostPort"])
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready(port):
        if time.monotonic() > deadline:
            raise StackError(f"the function is not ready after {_READY_SECONDS:g} s")
        time.sleep(_LOOK)
    return time.time() - began


@contextmanager
def run_container(arguments: list[str]) -> Iterator[str]:
    """Run a container for the length of the block; yield its name."""
    name = f"tidegate-bench-{uuid4().hex[:8]}"
    try:
        run_command(["docker", "run", "--detach", "--name", name, *arguments])
        yield name
    finally:
        run_command(["docker", "rm", "--force", "--volumes", name])


def _inspect(container: str) -> dict[str, Any]:
    (document,) = json.loads(run_command(["docker", "inspect", container]))
    return dict(document)


def _read_time(text: str) -> float:
    """Return Docker's time, which has nanoseconds, in seconds since the epoch."""
    return datetime.fromisoformat(_SECONDS_AND_MORE.sub(r"\1", text)).timestamp()


# Seconds after which a process that does nothing has settled.
_SETTLED = 0.5


def open_memory(env: BenchEnv, stack: ExitStack) -> Contestants:
    """Compare local processes; of a function all processes count."""
    return {OWN: partial(_measure_function_memory, env), "pika": partial(_measure_pika, env)}


def _measure_function_memory(env: BenchEnv) -> Figures:
    url = env.broker.amqp_url
    with open_queue(url) as queue:
        triggers = {"queue": amqp_trigger(url, queue), "http": http_trigger(find_port())}
        with run_processor(env, "function", FunctionSpec("echo", triggers)) as program:
            time.sleep(_SETTLED)
            return {"pss": program.measure_memory()}


def _measure_pika(env: BenchEnv) -> Figures:
    command = [sys.executable, str(PROGRAMS / "idle_consumer.py"), env.broker.amqp_url]
    with run_program(command, env.scratch / "idle.log") as program:
        program.wait_for_line("ready")
        time.sleep(_SETTLED)
        return {"pss": program.measure_memory()}
