"""Many functions at once: what it takes to deploy them together, and to plan when there is nothing to do."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import monotonic

from stack.plan.bench import OWN, Figures
from stack.plan.function import image_repository, service_name
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants, repeat
from stack.run.bench.program import run_command
from stack.run.deploy.revision_tag import revision_repository
from stack.run.workspace import write_file

# No functions of the user's: their images are removed at the end.
_PREFIX = "tidegate-bench-fleet"
_DEPLOYED, _PLANNED = 20, 50
_NAME = "{{.Repository}}:{{.Tag}}"
_numbers = count()


def open_all(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare a deploy of many functions that never ran with a deploy of one."""

    def measure(size: int) -> Figures:
        with fleet(bed, size):
            return {"time": time_task(bed, "deploy-function", "--all")}

    return {OWN: lambda: measure(_DEPLOYED), "one": lambda: measure(1)}


def open_plan(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare a plan that finds nothing to do with the questions that it cannot do without."""
    stack.enter_context(fleet(bed, _PLANNED))
    bed.run_task("deploy-function", "--all")
    engine, project = bed.stack.engine, bed.stack.settings.project
    compose = ["docker", "compose", "--project-name", project, "--file", str(engine.compose_file)]

    def ask() -> float:
        began = monotonic()
        run_command([*compose, "config", "--hash", "*"])
        run_command(["docker", "ps", "--all", "--filter", f"label=com.docker.compose.project={project}"])
        return monotonic() - began

    return {OWN: lambda: repeat(lambda: time_task(bed, "plan")), "docker": lambda: repeat(ask)}


@contextmanager
def fleet(bed: Bed, size: int) -> Iterator[None]:
    """Have so many functions in the bed's workspace, none of which is deployed; forget them at the end."""
    folders = [bed.stack.workspace.root / "functions" / f"{_PREFIX}-{number}" for number in range(size)]
    for folder in folders:
        write_file(folder / "function.yaml", b"spec: {handler: 'main:handler'}\n")
        write_file(folder / "main.py", f"def handler(context, event):\n    return {next(_numbers)}\n".encode())
    try:
        yield
    finally:
        _forget(bed, folders)


def time_task(bed: Bed, *arguments: str) -> float:
    """Run a task; return its seconds."""
    began = monotonic()
    bed.run_task(*arguments)
    return monotonic() - began


def _forget(bed: Bed, folders: list[Path]) -> None:
    """Remove functions as if they had never been; `delete-function` would do it one by one."""
    engine, state = bed.stack.engine, bed.stack.workspace.state
    services = {service_name(folder.name) for folder in folders}
    if found := [one.id for one in engine.containers() if one.service in services]:
        run_command(["docker", "rm", "--force", *found])
    own = revision_repository(engine.project)
    names = [image_repository(folder.name) for folder in folders] + [f"{own}:{folder.name}.*" for folder in folders]
    repositories = [f"--filter=reference={name}" for name in names]
    engine.remove_images(run_command(["docker", "image", "ls", "--format", _NAME, *repositories]).split())
    for folder in folders:
        (state / "functions" / f"{folder.name}.json").unlink(missing_ok=True)
        for parent in (folder.parent, state / "revisions"):
            shutil.rmtree(parent / folder.name, ignore_errors=True)
    bed.run_task("render")
