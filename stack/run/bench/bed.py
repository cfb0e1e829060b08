"""The test bed: a workspace with a broker of its own, so that the user's stack is neither measured nor in the way."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from stack import console
from stack.config.settings import FILE, Settings, load_settings
from stack.plan.bench import Scale
from stack.plan.render import processor_image
from stack.run.bench.port import find_port
from stack.run.bench.program import run_command, time_line
from stack.run.bench.reference import make_references
from stack.run.broker.broker import Broker, find_broker
from stack.run.docker.engine import Engine
from stack.run.image import Builder
from stack.run.stack import Stack
from stack.run.workspace import PROGRAM, VARIABLE, Workspace, make_folder, write_file

_PORTS = ("amqp", "mqtt", "management", "metrics", "gateway", "dashboard")
# Where Python is told to keep nothing, a program that has changed would be compiled by each task that is timed.
_KEEPS_COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True)
class Bed:
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
        return time_line(self._command(arguments), self._environment(), line)

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
        }
        write_file(root / FILE, yaml.safe_dump(document, sort_keys=False).encode())

    def _take_down(self) -> None:
        with console.working("Removing it"):
            self.run_task("down", "--volumes", "--yes")
