"""Images: where bases come from, and building what is missing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack import console
from stack.config.flag import split_flags
from stack.config.settings import ImageSource, Settings
from stack.errors import BuildError
from stack.plan import image
from stack.plan.advice import advise
from stack.plan.code import runs_as_is
from stack.plan.foundation import Kind
from stack.plan.function import FunctionPlan
from stack.plan.image import Archive, Ground
from stack.plan.render import (
    Files,
    Inputs,
    control_image,
    find_foundation,
    function_image,
    gateway_image,
    processor_image,
    rabbitmq_image,
    render_function,
    render_images,
)
from stack.run.base import make_base
from stack.run.engine import Build, Engine
from stack.run.host import LIBRARIES, find_ca, processor_digest, read_archive
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

    def prepare_stack(self) -> None:
        """Make the broker's, the gateway's and the processor's images, side by side, where they are missing.

        Raises:
            BuildError: one could not be made.
        """
        broker, processor = rabbitmq_image(self.inputs), processor_image(self.inputs)
        gateway = gateway_image(self.inputs)
        jobs: list[Job] = []
        if not self.engine.has_image(broker):
            jobs.append(("RabbitMQ", partial(self._make_broker, broker)))
        if not self.engine.has_image(processor):
            jobs.append(("the processor", partial(self._make_processor, processor)))
        if not self.engine.has_image(gateway):
            jobs.append(("the gateway", partial(self._make_gateway, gateway)))
        if self.inputs.has_scaler and not self.engine.has_image(control_image(self.inputs)):
            jobs.append(("the scaler", partial(self._make_control, control_image(self.inputs))))
        if jobs:
            self._write(render_images(self.inputs))
            self._make_base()
            self._make_all(jobs)

    def prepare_functions(self, plans: Sequence[FunctionPlan]) -> list[str]:
        """Make the images of functions that are not there, side by side; return the names of all.

        Raises:
            BuildError: one could not be made.
        """
        names = [function_image(plan, self.inputs) for plan in plans]
        missing = [(plan, name) for plan, name in zip(plans, names, strict=True) if not self.engine.has_image(name)]
        self._prepare_processors([plan for plan, _ in missing if not runs_as_is(plan.function)])
        for plan, _ in missing:
            self._write(render_function(plan, self.inputs))
        self._make_all([(plan.name, partial(self._make_function, plan, name)) for plan, name in missing])
        return names

    def _prepare_processors(self, plans: Sequence[FunctionPlan]) -> None:
        """Make the processor's image for each other Python that functions need, where it is not there."""
        laid = [find_foundation(plan, self.inputs) for plan in plans]
        bases = dict.fromkeys(one.python.image for one in laid if one.kind is not Kind.NUCLIO)
        names = {processor_image(self.inputs, base): base for base in bases}
        names.pop(processor_image(self.inputs), None)
        missing = {name: base for name, base in names.items() if not self.engine.has_image(name)}
        if missing:
            self._make_base()
            self._write(render_images(self.inputs))
        jobs = [
            (f"the processor on {base}", partial(self._make_processor, name, base)) for name, base in missing.items()
        ]
        self._make_all(jobs)

    def _write(self, files: Files) -> None:
        """Write what images are built with; the rest of the tree changes only once the images are there."""
        for path, content in files.items():
            write_file(self.workspace.rendered / path, content)

    def _make_function(self, plan: FunctionPlan, name: str) -> Iterator[str]:
        if runs_as_is(plan.function):
            yield from self.engine.pull(name)
            return
        folder = self.workspace.rendered / "functions" / plan.name
        context = self.workspace.root / plan.function.context
        build = plan.spec.build
        flags = (*(("--no-cache",) if build.no_cache else ()), *split_flags(build.flags))
        try:
            yield from self.engine.build(
                Build((name,), folder / "Dockerfile", context, {"config": folder}, self._secrets(), flags=flags)
            )
        except BuildError as error:
            raise BuildError("\n".join(part for part in (str(error), advise(plan, str(error))) if part)) from error

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
            with ThreadPoolExecutor(_BUILDS_AT_ONCE) as pool:
                running = [pool.submit(work.follow, make()) for _, make in jobs]
            for job in running:
                job.result()

    def _make_broker(self, name: str) -> Iterator[str]:
        if self.inputs.ground.is_registry:
            return self.engine.pull(name)
        folder = self.workspace.rendered / "images" / "rabbitmq"
        return self.engine.build(Build((name,), folder / "Dockerfile", folder, {}, self._secrets()))

    def _make_control(self, name: str) -> Iterator[str]:
        folder = self.workspace.rendered / "images" / "control"
        return self.engine.build(Build((name,), folder / "Dockerfile", LIBRARIES.parent, {}, self._secrets()))

    def _make_gateway(self, name: str) -> Iterator[str]:
        if self.inputs.ground.is_registry:
            return self.engine.pull(name)
        folder = self.workspace.rendered / "images" / "gateway"
        return self.engine.build(Build((name,), folder / "Dockerfile", folder, {}, self._secrets()))

    def _make_processor(self, name: str, base: str = "") -> Iterator[str]:
        folder = self.workspace.rendered / "images" / "processor"
        tags = (name,) if base else (name, f"{image.PROCESSOR}:latest")
        args = {"BASE": base} if base else {}
        return self.engine.build(
            Build(tags, folder / "Dockerfile", PROGRAM / "stack", {"config": folder}, self._secrets(), args)
        )

    def _secrets(self) -> dict[str, Path]:
        ca = find_ca(self.inputs.settings)
        return {"ca": ca} if ca else {}


def choose_ground(workspace: Workspace, settings: Settings, engine: Engine) -> Ground:
    """Decide what images stand on; with `auto` the registry is asked once, and the answer is remembered."""
    wanted = settings.images.source
    source = _resolve(workspace, settings, engine) if wanted is ImageSource.AUTO else wanted
    archive = _NO_ARCHIVE if source is ImageSource.REGISTRY else read_archive()
    return Ground(source, archive, has_ca=find_ca(settings) is not None, processor_digest=processor_digest())


def _resolve(workspace: Workspace, settings: Settings, engine: Engine) -> ImageSource:
    memory = workspace.state / "image-source"
    name = f"{settings.images.mirror}{settings.images.rabbitmq}"
    if memory.is_file() and (known := memory.read_text().split())[1:] == [name]:
        return ImageSource(known[0])
    engine.check()
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
