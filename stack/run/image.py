"""Images: where bases come from, and building what is missing."""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack import console
from stack.config.settings import ImageSource, Settings
from stack.errors import BuildError
from stack.plan import image
from stack.plan.function import FunctionPlan
from stack.plan.image import Archive, Ground
from stack.plan.render import (
    Files,
    Inputs,
    function_image,
    render_function,
    render_images,
    stack_images,
)
from stack.run.base import make_base
from stack.run.engine import Build, Engine
from stack.run.host import archive_stamp, find_ca, processor_digest, read_archive
from stack.run.workspace import PROGRAM, Workspace, write_file

# How long the registry may take to say that it has an image, before packages are used instead.
_PATIENCE_SECONDS = 8.0
# More make each other wait on a small machine.
_BUILDS_AT_ONCE = 4
_NO_ARCHIVE = Archive("", ())


# What is built, for a person, and what yields the lines of its log.
Job = tuple[str, Callable[[], Iterator[str]]]


@dataclass(frozen=True)
class Builder:
    """Everything that images are built with."""

    workspace: Workspace
    engine: Engine
    inputs: Inputs

    def prepare_stack(self, here: Collection[str] | None = None) -> None:
        """Make the broker's and the processor's images, side by side, but for those that are known to be here.

        Raises:
            BuildError: one could not be made.
        """
        broker, processor = stack_images(self.inputs)
        jobs: list[Job] = []
        here = self.engine.images([broker, processor]) if here is None else here
        if broker not in here:
            jobs.append(("RabbitMQ", partial(self._make_broker, broker)))
        if processor not in here:
            jobs.append(("the processor", partial(self._make_processor, processor)))
        if jobs:
            self._write_recipes(render_images(self.inputs))
            self._make_base()
            self._make_all(jobs)

    def prepare_functions(self, plans: Sequence[FunctionPlan]) -> list[str]:
        """Make the images of functions that are not there, side by side; return the names of all.

        Raises:
            BuildError: one could not be made.
        """
        names = [function_image(plan, self.inputs) for plan in plans]
        here = self.engine.images(names)
        missing = [(plan, name) for plan, name in zip(plans, names, strict=True) if name not in here]
        self._make_all([(plan.name, partial(self.make_function, plan, name)) for plan, name in missing])
        return names

    def make_function(self, plan: FunctionPlan, name: str) -> Iterator[str]:
        """Make the image of a function and yield the lines of the log.

        Raises:
            BuildError: it could not be made.
        """
        self._write_recipes(render_function(plan, self.inputs))
        folder = self.workspace.rendered / "functions" / plan.name
        context = self.workspace.root / plan.function.folder
        build = Build((name,), folder / "Dockerfile", context, {"config": folder}, self._secrets())
        yield from self.engine.build(build)

    def _write_recipes(self, files: Files) -> None:
        """Write what images are built with; the rest of the tree changes only once the images are there."""
        for path, content in files.items():
            write_file(self.workspace.rendered / path, content)

    def _make_base(self) -> None:
        ground = self.inputs.ground
        base = image.debian_image(ground.archive)
        if ground.is_registry or self.engine.has_image(base):
            return
        with console.working(f"Building a base image from the packages of {ground.archive.codename}") as work:
            work.follow(make_base(ground.archive, base))

    def _make_all(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        titles = [title for title, _ in jobs]
        with console.working(f"Building {', '.join(titles)}") as work:
            build_all(self.engine, [partial(work.follow, make()) for _, make in jobs])

    def _make_broker(self, name: str) -> Iterator[str]:
        if self.inputs.ground.is_registry:
            return self.engine.pull(name)
        folder = self.workspace.rendered / "images" / "rabbitmq"
        return self.engine.build(Build((name,), folder / "Dockerfile", folder, {}, self._secrets()))

    def _make_processor(self, name: str) -> Iterator[str]:
        folder = self.workspace.rendered / "images" / "processor"
        tags = (name, f"{image.PROCESSOR}:latest")
        return self.engine.build(
            Build(tags, folder / "Dockerfile", PROGRAM / "stack", {"config": folder}, self._secrets())
        )

    def _secrets(self) -> dict[str, Path]:
        ca = find_ca(self.inputs.settings)
        return {"ca": ca} if ca else {}


def build_all(engine: Engine, jobs: Sequence[Callable[[], object]]) -> None:
    """Run jobs that build, side by side; if this task is interrupted meanwhile, the builds end too."""
    with ThreadPoolExecutor(_BUILDS_AT_ONCE) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            wait(running)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            engine.cancel_builds()
            raise
    for job in running:
        job.result()


def choose_ground(workspace: Workspace, settings: Settings, engine: Engine) -> Ground:
    """Decide what images stand on; with `auto` the registry is asked once, and the answer is remembered."""
    wanted = settings.images.source
    source = _resolve(workspace, settings, engine) if wanted is ImageSource.AUTO else wanted
    archive = _NO_ARCHIVE if source is ImageSource.REGISTRY else _find_archive(workspace)
    return Ground(source, archive, has_ca=find_ca(settings) is not None, processor_digest=processor_digest())


def _find_archive(workspace: Workspace) -> Archive:
    """Return this machine's archive, remembered for as long as apt's settings stay as they are."""
    memory, stamp = workspace.state / "archive.json", archive_stamp()
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return Archive(known["codename"], tuple(known["sources"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    archive = read_archive()
    document = {"stamp": stamp, "codename": archive.codename, "sources": archive.sources}
    write_file(memory, json.dumps(document).encode())
    return archive


def _resolve(workspace: Workspace, settings: Settings, engine: Engine) -> ImageSource:
    memory = workspace.state / "image-source"
    name = f"{settings.images.mirror}{settings.images.rabbitmq}"
    if memory.is_file() and (known := memory.read_text().split())[1:] == [name]:
        return ImageSource(known[0])
    engine.verify()
    answers = engine.has_image(name) or _answers(engine, name)
    source = ImageSource.REGISTRY if answers else ImageSource.DEBIAN
    if not answers:
        console.say(
            f"No registry offers {name} here, so images are built from this system's packages "
            "(`images.source: registry` in stack.yaml asks again)."
        )
    write_file(memory, f"{source} {name}\n".encode())
    return source


def _answers(engine: Engine, name: str) -> bool:
    """Ask the engine to pull an image; the first line of its answer tells that the registry has it."""
    answered = threading.Event()

    def pull() -> None:
        try:
            for line in engine.pull(name):
                if "Pulling from" in line:
                    answered.set()
        except BuildError:
            return

    thread = threading.Thread(target=pull, daemon=True)
    with console.working("Asking the image registry"):
        thread.start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while thread.is_alive() and not answered.is_set() and time.monotonic() < deadline:
            answered.wait(0.05)
    return answered.is_set()
