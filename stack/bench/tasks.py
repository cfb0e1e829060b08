"""The time of a deploy, against docker by hand; and how tasks and memory grow with the functions."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import yaml

from stack import console
from stack.bench.environment import BenchEnv, Measurements, find_port, http_trigger, is_ready
from stack.bench.program import run_command
from stack.bench.rows import OWN, Figures
from stack.config.value import memory_bytes
from stack.contract import HEALTH_PORT, HTTP_PORT
from stack.docker.driver import Driver
from stack.errors import StackError
from stack.plan.function import image_repository, service_name
from stack.run.image import revision_repository
from stack.state.workspace import write_file

# No function of the user's: its images are removed at the end.
_NAME = "tidegate-bench"
# What a task says when requests are answered by the new version; what it does then is to end the older one.
_READY = f"{_NAME}: ready."
_READY_SECONDS = 30.0
_LOOK = 0.01


def open_deploy(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare two ways to deploy one function over itself."""
    folder, hand, numbers = _prepare(env, stack)

    def deploy() -> float:
        return env.time_task(_READY, "deploy-function", _NAME)

    return {
        OWN: lambda: _measure(folder, next(numbers), deploy=deploy),
        "docker": lambda: _measure(hand.folder, next(numbers), deploy=hand.deploy),
    }


def _prepare(env: BenchEnv, stack: ExitStack) -> "tuple[Path, ByHand, count[int]]":
    """Deploy the same function in both ways; return their folders, and numbers for its next versions."""
    folder = env.stack.workspace.root / "functions" / _NAME
    hand = ByHand(env, env.scratch / "by-hand")
    stack.callback(hand.remove)
    numbers = count()
    _write_code(folder, next(numbers))
    write_file(folder / "function.yaml", yaml.safe_dump({"spec": {"handler": "main:handler"}}).encode())
    env.run_task("deploy-function", _NAME)
    stack.callback(_forget, env)
    _write_code(hand.folder, next(numbers))
    hand.deploy()
    return folder, hand, numbers


class ByHand:
    """A function in a container that somebody runs without Tidegate."""

    def __init__(self, env: BenchEnv, folder: Path) -> None:
        self.folder = folder
        self._name = f"tidegate-bench-{uuid4().hex[:8]}"
        self._health = find_port()
        spec = {"handler": "main:handler", "triggers": {"http": http_trigger(HTTP_PORT)}}
        write_file(folder / "processor.yaml", yaml.safe_dump({"metadata": {"name": _NAME}, "spec": spec}).encode())
        lines = [f"FROM {env.processor_image}", "COPY processor.yaml /etc/nuclio/config/processor/processor.yaml"]
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
        ports = ["--publish", f"127.0.0.1::{HTTP_PORT}", "--publish", f"127.0.0.1:{self._health}:{HEALTH_PORT}"]
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


def _forget(env: BenchEnv) -> None:
    env.run_task("delete-function", _NAME, "--yes")


def _measure(folder: Path, number: int, *, deploy: Callable[[], float]) -> Figures:
    _write_code(folder, number)
    return {"time": deploy()}


def _write_code(folder: Path, number: int) -> None:
    write_file(folder / "main.py", f"def handler(context, event):\n    return {number}\n".encode())


# No functions of the user's: their images are removed at the end.
_PREFIX = "tidegate-bench-fleet"
_NAME_FLEET = "{{.Repository}}:{{.Tag}}"
_numbers = count()


@contextmanager
def fleet(env: BenchEnv, size: int) -> Iterator[None]:
    """Have so many functions in the bed's workspace, none of which is deployed; forget them at the end."""
    folders = [env.stack.workspace.root / "functions" / f"{_PREFIX}-{number}" for number in range(size)]
    for folder in folders:
        write_file(folder / "function.yaml", b"spec: {handler: 'main:handler'}\n")
        write_file(folder / "main.py", f"def handler(context, event):\n    return {next(_numbers)}\n".encode())
    try:
        yield
    finally:
        _forget_fleet(env, folders)


def time_task(env: BenchEnv, *arguments: str) -> float:
    """Run a task; return its seconds."""
    began = monotonic()
    env.run_task(*arguments)
    return monotonic() - began


def _forget_fleet(env: BenchEnv, folders: list[Path]) -> None:
    """Remove functions as if they had never been; `delete-function` would do it one by one."""
    engine, state = env.stack.engine, env.stack.workspace.state
    services = {service_name(folder.name) for folder in folders}
    if found := [one.id for one in engine.containers() if one.service in services]:
        run_command(["docker", "rm", "--force", *found])
    own = revision_repository(engine.project)
    names = [image_repository(folder.name) for folder in folders] + [f"{own}:{folder.name}.*" for folder in folders]
    repositories = [f"--filter=reference={name}" for name in names]
    Driver(engine).remove_images(run_command(["docker", "image", "ls", "--format", _NAME_FLEET, *repositories]).split())
    for folder in folders:
        (state / "functions" / f"{folder.name}.json").unlink(missing_ok=True)
        for parent in (folder.parent, state / "revisions"):
            shutil.rmtree(parent / folder.name, ignore_errors=True)
    env.run_task("render")


_SIZES = (1, 10, 50, 100)
_QUICK_SIZES = (1, 5)
COLUMNS = ("functions", "deploy --all", "deploy again", "up", "plan", "status", "memory")


def show_growth(env: BenchEnv, *, quick: bool, as_json: bool) -> None:
    """Measure and show the seconds of tasks, all but the first with nothing to do, and the memory."""
    rows = list(_measure_growth(env, _QUICK_SIZES if quick else _SIZES))
    if as_json:
        console.show_json({"growth": rows})
    else:
        console.show_table(COLUMNS, [_tell(row) for row in rows])


def _measure_growth(env: BenchEnv, sizes: tuple[int, ...]) -> Iterator[dict[str, float]]:
    for size in sizes:
        with console.working(f"Measuring {size} functions"), fleet(env, size):
            tasks = (("deploy-function", "--all"), ("deploy-function", "--all"), ("up",), ("plan",), ("status",))
            seconds = [round(time_task(env, *task), 2) for task in tasks]
            yield dict(zip(COLUMNS, [size, *seconds, round(_sum_memory(env))], strict=True))


def _sum_memory(env: BenchEnv) -> float:
    """Return the memory of the functions' containers, as their control groups count it, in MiB."""
    ids = [one.id for one in env.stack.engine.containers() if one.function]
    usages = run_command(["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", *ids]).splitlines()
    # Docker writes `28.5MiB / 23.5GiB`, and quantities without the B are those of Kubernetes.
    return sum(memory_bytes(usage.split()[0].removesuffix("B")) for usage in usages) / 1024**2


def _tell(row: dict[str, float]) -> dict[str, str]:
    units = {"functions": "", "memory": " MiB"}
    return {name: f"{value:g}{units.get(name, ' s')}" for name, value in row.items()}
