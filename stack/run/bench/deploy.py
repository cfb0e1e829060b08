"""The time of a deploy after a change of one line and of a rollback, to ready, and of the same by hand with docker."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import yaml

from stack.errors import StackError
from stack.plan.bench import OWN, Figures
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants, repeat
from stack.run.bench.port import find_port
from stack.run.bench.processor import http_trigger, is_ready
from stack.run.bench.program import run_command
from stack.run.workspace import write_file

# No function of the user's: its images are removed at the end.
_NAME = "tidegate-bench"
# What a task says when requests are answered by the new version; what it does then is to end the older one.
_READY = f"{_NAME}: ready."
_READY_SECONDS = 30.0
_LOOK = 0.01


def open_deploy(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare two ways to deploy one function over itself."""
    folder, hand, numbers = _prepare(bed, stack)

    def deploy() -> float:
        return bed.time_task(_READY, "deploy-function", _NAME)

    return {
        OWN: lambda: _measure(folder, next(numbers), deploy),
        "docker": lambda: _measure(hand.folder, next(numbers), hand.deploy),
    }


def open_rollback(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare a rollback, each of which goes back to where the one before came from, with a start by hand."""
    folder, hand, numbers = _prepare(bed, stack)
    _write_code(folder, next(numbers))
    bed.run_task("deploy-function", _NAME)

    def roll_back() -> float:
        return bed.time_task(_READY, "rollback-function", _NAME)

    def start() -> float:
        hand.stop()
        return hand.start()

    return {OWN: lambda: repeat(roll_back), "docker": lambda: repeat(start)}


def _prepare(bed: Bed, stack: ExitStack) -> "tuple[Path, ByHand, count[int]]":
    """Deploy the same function in both ways; return their folders, and numbers for its next versions."""
    folder = bed.stack.workspace.root / "functions" / _NAME
    hand = ByHand(bed, bed.scratch / "by-hand")
    stack.callback(hand.remove)
    numbers = count()
    _write_code(folder, next(numbers))
    write_file(folder / "function.yaml", yaml.safe_dump({"spec": {"handler": "main:handler"}}).encode())
    bed.run_task("deploy-function", _NAME)
    stack.callback(_forget, bed)
    _write_code(hand.folder, next(numbers))
    hand.deploy()
    return folder, hand, numbers


class ByHand:
    """A function in a container that somebody runs without Tidegate."""

    def __init__(self, bed: Bed, folder: Path) -> None:
        self.folder = folder
        self._name = f"tidegate-bench-{uuid4().hex[:8]}"
        self._health = find_port()
        spec = {"handler": "main:handler", "triggers": {"http": http_trigger(8080)}}
        write_file(folder / "processor.yaml", yaml.safe_dump({"metadata": {"name": _NAME}, "spec": spec}).encode())
        lines = [f"FROM {bed.processor_image}", "COPY processor.yaml /etc/nuclio/config/processor/processor.yaml"]
        write_file(folder / "Dockerfile", "\n".join([*lines, "COPY main.py /opt/nuclio/", ""]).encode())

    def deploy(self) -> float:
        """Build, remove the older container, start the new one, and return the seconds until it is ready."""
        began = monotonic()
        run_command(["docker", "build", "--quiet", "--label", self._name, "--tag", self._name, str(self.folder)])
        self.stop()
        self.start()
        return monotonic() - began

    def stop(self) -> None:
        """Remove its container."""
        run_command(["docker", "rm", "--force", self._name])

    def start(self) -> float:
        """Start a container of what was built last; return the seconds until it is ready."""
        began = monotonic()
        ports = ["--publish", "127.0.0.1::8080", "--publish", f"127.0.0.1:{self._health}:8082"]
        run_command(["docker", "run", "--detach", "--name", self._name, *ports, self._name])
        while not is_ready(self._health):
            if monotonic() > began + _READY_SECONDS:
                raise StackError(f"the function that was deployed by hand is not ready after {_READY_SECONDS:g} s")
            sleep(_LOOK)
        return monotonic() - began

    def remove(self) -> None:
        """Remove its container and its images, also those of older versions."""
        self.stop()
        run_command(["docker", "image", "prune", "--all", "--force", "--filter", f"label={self._name}"])


def _forget(bed: Bed) -> None:
    bed.run_task("delete-function", _NAME, "--yes")


def _measure(folder: Path, number: int, deploy: Callable[[], float]) -> Figures:
    _write_code(folder, number)
    return {"time": deploy()}


def _write_code(folder: Path, number: int) -> None:
    write_file(folder / "main.py", f"def handler(context, event):\n    return {number}\n".encode())
