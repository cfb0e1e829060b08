"""The time until a function is ready, and the memory that it takes while nothing happens."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from uuid import uuid4

from stack.bench.environment import (
    PROGRAMS,
    BenchEnv,
    FunctionSpec,
    Measurements,
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


def open_start(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare a function with a bare container of the same image; Docker's own part is in both."""
    return {OWN: partial(_measure_function, env), "bare": partial(_measure_bare, env)}


def _measure_function(env: BenchEnv) -> Figures:
    with open_queue(env.broker.amqp_url) as queue:
        url = env.broker.credentials.url(SERVICE, AMQP_PORT)
        triggers = {"queue": amqp_trigger(url, queue), "http": http_trigger(HTTP_PORT)}
        config = env.scratch / "container" / "processor.yaml"
        write_file(config, FunctionSpec("echo", triggers).render())
        mounts = ["--volume", f"{config}:{_CONFIG}:ro", "--volume", f"{PROGRAMS}:/opt/nuclio:ro"]
        health = find_port()
        options = ["--network", env.network, "--publish", f"127.0.0.1:{health}:{HEALTH_PORT}", *mounts]
        began = time.time()
        with run_container([*options, env.processor_image]):
            _wait_until_ready(health)
            return {"time": time.time() - began}


def _measure_bare(env: BenchEnv) -> Figures:
    command = ["python3", "-c", "import pika, nuclio_sdk"]
    began = time.time()
    with run_container(["--network", env.network, env.processor_image, *command]) as container:
        run_command(["docker", "wait", container])
        template = "{{.State.FinishedAt}}"
        return {"time": _read_time(run_command(["docker", "inspect", "--format", template, container]).strip()) - began}


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready(port):
        if time.monotonic() > deadline:
            raise StackError(f"the function is not ready after {_READY_SECONDS:g} s")
        time.sleep(_LOOK)


@contextmanager
def run_container(arguments: list[str]) -> Iterator[str]:
    """Run a container for the length of the block; yield its name."""
    name = f"tidegate-bench-{uuid4().hex[:8]}"
    try:
        run_command(["docker", "run", "--detach", "--name", name, *arguments])
        yield name
    finally:
        run_command(["docker", "rm", "--force", "--volumes", name])


def _read_time(text: str) -> float:
    """Return Docker's time, which has nanoseconds, in seconds since the epoch."""
    return datetime.fromisoformat(_SECONDS_AND_MORE.sub(r"\1", text)).timestamp()


# Seconds after which a process that does nothing has settled.
_SETTLED = 0.5


def open_memory(env: BenchEnv, stack: ExitStack) -> Measurements:
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
