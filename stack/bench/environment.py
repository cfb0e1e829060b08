"""The test bed: a workspace with a broker of its own, so that the user's stack is neither measured nor in the way."""

import hashlib
import os
import socket
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from urllib3.exceptions import HTTPError

from stack import console
from stack.bench.program import Program, run_command, run_program, time_line
from stack.bench.rows import Figures, Rounds, Scale, order_rounds
from stack.config.settings import FILE, Settings, load_settings
from stack.config.trigger.base import QUORUM
from stack.contract import BROKER_URL, NODEJS, PYTHON
from stack.docker.engine import Engine
from stack.docker.image import Builder
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.plan.stack_image import processor_image
from stack.plan.template import TEMPLATES
from stack.rabbitmq.management import Broker, find_broker
from stack.state.http_client import open_local_pool
from stack.state.workspace import PROGRAM, VARIABLE, Workspace, make_folder, write_file


def find_port() -> int:
    """Return a port that no one listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PROGRAMS = TEMPLATES / "bench"
_LOCK = PROGRAMS / "requirements.lock"


NODEJS_PROGRAMS = PROGRAMS / "nodejs"


def make_references(folder: Path) -> Path:
    """Return the Python of the environment, which is made on the first call, and again when its pins change.

    Raises:
        StackError: the libraries could not be installed.
    """
    python = folder / "bin" / "python"
    mark = folder / "installed"
    digest = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return python
    with console.working("Installing what functions are measured against"):
        venv.create(folder, clear=True, with_pip=True)
        run_command([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(_LOCK)])
    write_file(mark, digest.encode())
    return python


_PRIVATE = 0o600
# Room for 10,000 sessions and for what waits; with less of it publishers are made to wait.
_BROKER_MEMORY = "4Gi"
_PORTS = ("amqp", "mqtt", "management", "metrics", "gateway", "dashboard")
# Where Python is told to keep nothing, a program that has changed would be compiled by each task that is timed.
_KEEPS_COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True)
class BenchEnv:
    """What measurements stand on; each part is made when it is first needed, and taken down with the stack of exits."""

    scale: Scale
    state: Path
    """Where it keeps its files, and the references theirs."""
    settings: Settings
    """The user's, for the images."""
    exits: ExitStack
    scratch: Path
    """A folder for the files of this run."""

    @cached_property
    def stack(self) -> Stack:
        """Return the bed's own stack, which runs."""
        root = self.state / "workspace"
        self._write(root)
        self.exits.callback(self._take_down)
        with console.working("Starting a broker for the benchmark"):
            self.run_task("up")
        settings = load_settings(root)
        workspace = Workspace(root)
        return Stack(workspace, settings, Engine(settings.project, workspace.compose))

    @cached_property
    def broker(self) -> Broker:
        """Return the bed's broker."""
        return find_broker(self.stack)

    @cached_property
    def references(self) -> Path:
        """Return the Python that has the libraries which are references."""
        return make_references(self.state / "references")

    @cached_property
    def processor_image(self) -> str:
        """Return the image that functions stand on, which is here."""
        stack = self.stack
        Builder(stack.workspace, stack.engine, stack.inputs).prepare_stack()
        return processor_image(stack.inputs)

    @property
    def network(self) -> str:
        """Return the network of the bed's stack."""
        return f"{self.stack.settings.project}_default"

    def run_task(self, *arguments: str) -> None:
        """Run one of Tidegate's tasks for the bed's stack, as a user would.

        Raises:
            StackError: it failed; the message is its own.
        """
        run_command(self._command(arguments), self._environment())

    def time_task(self, line: str, *arguments: str) -> float:
        """Run a task to its end; return the seconds until it says a line.

        Raises:
            StackError: it failed, or did not say it.
        """
        return time_line(self._command(arguments), self._environment(), line=line)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "invoke", "--search-root", str(PROGRAM), *arguments]

    def _environment(self) -> dict[str, str]:
        return os.environ | {VARIABLE: str(self.state / "workspace"), **_KEEPS_COMPILED}

    def _write(self, root: Path) -> None:
        make_folder(root / "functions")
        document = {
            "project": f"{self.settings.project}-bench",
            "ports": {name: find_port() for name in _PORTS},
            "images": self.settings.images.model_dump(mode="json"),
            "broker": {"memory": _BROKER_MEMORY},
        }
        write_file(root / FILE, yaml.safe_dump(document, sort_keys=False).encode())

    def _take_down(self) -> None:
        with console.working("Removing it"):
            self.run_task("down", "--volumes", "--yes")


Trigger = dict[str, Any]


@dataclass(frozen=True)
class FunctionSpec:
    """What is deployed: a handler of the file `handlers`, its triggers, and the queue of its output `reply`."""

    handler: str
    triggers: Mapping[str, Trigger]
    reply: str = ""
    runtime: str = PYTHON

    @property
    def folder(self) -> Path:
        """Return where its handler is."""
        return NODEJS_PROGRAMS if self.runtime == NODEJS else PROGRAMS

    def render(self) -> bytes:
        """Return processor.yaml."""
        spec: dict[str, Any] = {"handler": f"handlers:{self.handler}", "triggers": dict(self.triggers)}
        spec["runtime"] = self.runtime
        spec["loggerSinks"] = [{"level": "warn"}]
        if self.reply:
            spec["outputs"] = {"reply": {"kind": "rabbit-mq", "queue": self.reply, "queueType": QUORUM}}
        return yaml.safe_dump({"metadata": {"name": "bench"}, "spec": spec}).encode()


def amqp_trigger(url: str, queue: str, *, workers: int = 1) -> Trigger:
    """Return a trigger that consumes a queue."""
    return {"kind": "rabbit-mq", "url": url, "numWorkers": workers, "attributes": {"queueName": queue}}


def http_trigger(port: int) -> Trigger:
    """Return a trigger that listens on a port."""
    return {"kind": "http", "url": f":{port}", "numWorkers": 1}


_PROCESSOR = ("-m", "stack.processor")


@contextmanager
def run_processor(
    env: BenchEnv, name: str, function: FunctionSpec, entry: Sequence[str] = _PROCESSOR, **environment: str
) -> Iterator[Program]:
    """Run a function for the length of the block, once it is ready; `entry` is what Python is to run."""
    config = env.scratch / f"{name}.yaml"
    write_file(config, function.render())
    if function.reply:
        write_file(env.scratch / BROKER_URL, env.broker.amqp_url.encode(), _PRIVATE)
    health = find_port()
    command = [sys.executable, *entry, "--config", str(config), "--secrets", str(env.scratch)]
    command += ["--folder", str(function.folder), "--health-port", str(health)]
    command += ["--metrics-port", str(find_port())]
    paths = {"PYTHONPATH": str(PROGRAM)}
    with run_program(command, env.scratch / f"{name}.log", **paths, **environment) as program:
        program.wait_until(lambda: is_ready(health))
        yield program


def is_ready(port: int) -> bool:
    """Return whether /ready of a function says yes."""
    try:
        with open_local_pool() as pool:
            return pool.request("GET", f"http://127.0.0.1:{port}/ready", timeout=1).status == 200
    except HTTPError:
        return False


# What measures one round of each subject, by its name.
Measurements = Mapping[str, Callable[[], Figures]]
# Makes ready what a comparison needs; what stays open is closed with the stack.
OpenComparison = Callable[[BenchEnv, ExitStack], Measurements]


def run_comparison(open_comparison: OpenComparison, env: BenchEnv, *, names: Sequence[str]) -> Rounds:
    """Measure the subjects of these names in turn; one that fails is out, and the reason is said."""
    figures: dict[str, list[Figures]] = {name: [] for name in names}
    with ExitStack() as stack:
        measurements = open_comparison(env, stack)
        for name in order_rounds(names, env.scale.rounds):
            if name not in figures:
                continue
            try:
                figures[name].append(measurements[name]())
            except (StackError, OSError) as error:
                console.warn(f"{name} could not be measured: {error}")
                del figures[name]
    return figures
