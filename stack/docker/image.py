"""Images: building what is missing."""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from stack import console
from stack.config.build import split_flags
from stack.config.shared import SHARED
from stack.config.source import FOLDER as FUNCTIONS
from stack.config.source import read_files
from stack.docker.base_image import make_base
from stack.docker.build import Build, build_image, build_images
from stack.docker.driver import Driver, end_commands
from stack.docker.engine import Engine
from stack.errors import BuildError, ConfigError, StackError
from stack.plan import image
from stack.plan.base_image import Kind
from stack.plan.code_entry import runs_as_is
from stack.plan.function import FunctionPlan
from stack.plan.grafana import SERVICE as GRAFANA
from stack.plan.hints import explain
from stack.plan.host_access import check_host_access
from stack.plan.image import digest, grafana_base
from stack.plan.inputs import Inputs
from stack.plan.notify import SERVICE as ALERTMANAGER
from stack.plan.registry import SERVICE as REGISTRY
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.stack import is_nuclio
from stack.plan.stack_image import (
    alertmanager_image,
    control_image,
    dashboard_image,
    find_base_image,
    function_image,
    gateway_image,
    processor_image,
    rabbitmq_image,
    registry_image,
    render_function,
    render_images,
    rule_test_image,
    store_image,
    supplier_image,
    vmalert_image,
)
from stack.plan.store import SERVICE as STORE
from stack.state.host import LIBRARIES, find_ca
from stack.state.workspace import PROGRAM, Workspace, write_file

# More make each other wait on a small machine.
_BUILDS_AT_ONCE = 4


# So many images of functions are made together: the steps of fewer are told apart more clearly, and gain little.
_MANY = 3

# What is built, for a person, and what makes an image of a name and yields the lines of the log.
Job = tuple[str, Callable[[str], Iterator[str]]]


class BuildProgress(Protocol):
    """Is told how far the images of functions are, by the functions' names, from several threads."""

    def tell(self, name: str, state: str) -> None:
        """Say what is being done."""

    def follow(self, name: str, lines: Iterable[str]) -> None:
        """Show the lines of a log as they come."""

    def fail(self, name: str, reason: str) -> None:
        """Say why it could not be done."""


@dataclass
class _Spinner:
    """Shows that functions are built on one line, and keeps why some could not be."""

    work: console.Work
    failures: list[str] = field(default_factory=list)

    def tell(self, name: str, state: str) -> None:
        """Say nothing: the line names all."""

    def follow(self, _name: str, lines: Iterable[str]) -> None:
        """Show the latest line."""
        self.work.follow(lines)

    def fail(self, _name: str, reason: str) -> None:
        """Keep the reason."""
        self.failures.append(reason)


@dataclass(frozen=True)
class Builder:
    """Everything that images are built with."""

    workspace: Workspace
    engine: Engine
    inputs: Inputs

    def prepare_stack(self, here: Collection[str] | None = None) -> None:
        """Make the images of the stack itself, side by side, but for those that are known to be here.

        Raises:
            BuildError: one could not be made.
        """
        wanted: dict[str, Job] = {
            rabbitmq_image(self.inputs): ("RabbitMQ", partial(self._make_server, folder="rabbitmq")),
            processor_image(self.inputs): ("the processor", self._make_processor),
            gateway_image(self.inputs): ("the gateway", partial(self._make_server, folder="gateway")),
            dashboard_image(self.inputs): ("the dashboard", self._make_dashboard),
        }
        wanted |= self._list_alert_images()
        if self.inputs.settings.has_store:
            make_store = partial(self._make_server, folder=STORE)
            wanted[store_image(self.inputs)] = ("VictoriaMetrics", make_store)
        if self.inputs.settings.has_own_registry:
            wanted[registry_image(self.inputs)] = ("the registry", partial(self._make_server, folder=REGISTRY))
        if self.inputs.settings.data.grafana:
            name = grafana_base(self.inputs.settings, self.inputs.base_images)
            wanted[name] = ("Grafana", partial(self._make_server, folder=GRAFANA))
        if self.inputs.has_scaler or self.inputs.has_devices or self.inputs.mdns_names:
            wanted[control_image(self.inputs)] = ("Tidegate's own programs", self._make_control)
        self._make_missing(wanted, self.engine.images(wanted) if here is None else here)

    def prepare_alerts(self, *, has_tests: bool = False) -> None:
        """Make the images of what calculates alerts and tells people, and of what tests them.

        Raises:
            BuildError: one could not be made.
        """
        wanted = self._list_alert_images()
        if has_tests:
            wanted[rule_test_image(self.inputs)] = ("vmalert-tool", partial(self._make_server, folder=STORE))
        self._make_missing(wanted, self.engine.images(wanted))

    def _list_alert_images(self) -> dict[str, Job]:
        wanted: dict[str, Job] = {}
        if self.inputs.has_vmalert:
            wanted[vmalert_image(self.inputs)] = ("vmalert", partial(self._make_server, folder=STORE))
        if self.inputs.has_alertmanager:
            make = partial(self._make_server, folder=ALERTMANAGER)
            wanted[alertmanager_image(self.inputs)] = ("Alertmanager", make)
        return wanted

    def prepare_functions(self, plans: Sequence[FunctionPlan]) -> list[str]:
        """Make the images of functions that are not there, side by side; return the names of all.

        Raises:
            BuildError: one could not be made.
        """
        names = [function_image(plan, self.inputs) for plan in plans]
        here = self.engine.images(names)
        missing = [(plan, name) for plan, name in zip(plans, names, strict=True) if name not in here]
        self.prepare_processors([plan for plan, _ in missing])
        if missing:
            with console.working(f"Building {', '.join(plan.name for plan, _ in missing)}") as work:
                for name in self.make_functions(missing, spinner := _Spinner(work)):
                    spinner.failures.append(explain_change(name))
                if spinner.failures:
                    raise BuildError("\n".join(spinner.failures))
        return names

    def make_functions(self, wanted: Sequence[tuple[FunctionPlan, str]], progress: BuildProgress) -> list[str]:
        """Make the images of functions, each with its name, side by side; why one could not be made is told.

        Return the functions whose files were changed meanwhile, which have no image then.
        """
        for plan, _ in wanted:
            progress.tell(plan.name, "building")
        made = self._make_together([(plan, name) for plan, name in wanted if _is_plain(plan)], progress)
        build_all([partial(self._make_alone, plan, name, progress) for plan, name in wanted if name not in made])
        return self._drop_changed([(plan, name) for plan, name in wanted if not runs_as_is(plan.function)])

    def _drop_changed(self, made: Sequence[tuple[FunctionPlan, str]]) -> list[str]:
        """Keep no image of files that were changed while it was built: its name says that it has those from before.

        Once they were as before again, it would be taken for theirs.
        """
        changed = {name: plan.name for plan, name in made if not self._has_files(plan)}
        here = self.engine.images(list(changed)) if changed else ()
        for name in here:
            Driver(self.engine).remove_images([name])
        return [changed[name] for name in here]

    def _has_files(self, plan: FunctionPlan) -> bool:
        """Return whether the files of a function are those of its plan; others may have come."""
        root = self.workspace.root
        folders = {plan.function.context: plan.function.files, f"{FUNCTIONS}/{SHARED}": plan.function.shared}
        try:
            return all(set(files) <= set(read_files(root / folder)) for folder, files in folders.items() if files)
        except (OSError, ConfigError):
            # One went away while it was read, or came and cannot be.
            return False

    def _make_together(self, wanted: Sequence[tuple[FunctionPlan, str]], progress: BuildProgress) -> set[str]:
        """Make many images by one build, and return them; of what fails so each is to be made alone, to tell why."""
        if len(wanted) < _MANY:
            return set()
        try:
            with ExitStack() as exits:
                builds = {plan.name: exits.enter_context(self.prepared(plan, name)) for plan, name in wanted}
                for name, line in build_images(builds):
                    progress.follow(name, [line])
        except StackError:
            return set()
        for plan, _ in wanted:
            progress.tell(plan.name, "built")
        return {name for _, name in wanted}

    def _make_alone(self, plan: FunctionPlan, name: str, progress: BuildProgress) -> None:
        try:
            progress.follow(plan.name, self.make_function(plan, name))
        except StackError as error:
            progress.fail(plan.name, str(error))
        else:
            progress.tell(plan.name, "built")

    def prepare_processors(self, plans: Sequence[FunctionPlan]) -> None:
        """Make what stands between the processor's image and those of functions, where it is not there.

        That is the processor on another Python than the usual, and what a runtime adds to it.

        Raises:
            BuildError: one could not be made.
        """
        found = [find_base_image(plan, self.inputs) for plan in plans if not runs_as_is(plan.function)]
        wanted: dict[str, Job] = {}
        for one in (one for one in found if one.kind is not Kind.NUCLIO):
            name, base = supplier_image(self.inputs, one), one.runtime.image
            layer = RUNTIMES[one.runtime.runtime].layer
            make = partial(self._make_layer, layer, base=base) if layer else partial(self._make_processor, base=base)
            wanted[name] = f"{layer or 'the processor on'} {base}".strip(), make
        wanted.pop(processor_image(self.inputs), None)
        self._make_missing(wanted, self.engine.images(wanted))

    def _make_missing(self, wanted: Mapping[str, Job], here: Collection[str]) -> None:
        """Make images of the stack, and what they are made with; the tree changes else only once they are there."""
        missing = [(title, partial(make, name)) for name, (title, make) in wanted.items() if name not in here]
        if missing:
            for path, content in render_images(self.inputs).items():
                write_file(self.workspace.rendered / path, content, is_durable=False)
            self._make_base()
            with console.working(f"Building {', '.join(title for title, _ in missing)}") as work:
                build_all([partial(work.follow, make()) for _, make in missing])

    def make_function(self, plan: FunctionPlan, name: str) -> Iterator[str]:
        """Make the image of a function, or pull one that runs as it is, and yield the lines of the log.

        Raises:
            BuildError: it could not be made.
        """
        try:
            if runs_as_is(plan.function):
                yield from Driver(self.engine).pull(name)
                return
            with self.prepared(plan, name) as build:
                yield from build_image(build)
        except BuildError as error:
            raise BuildError(explain(plan, str(error))) from error

    @contextmanager
    def prepared(self, plan: FunctionPlan, name: str) -> Iterator[Build]:
        """Yield what builds a function's image, in a folder of its own for as long as the block runs.

        What is rendered tells of the function as it is deployed, and is written again by whatever else ends meanwhile.

        Raises:
            AccessError: it asks for what stack.yaml does not allow it of this machine.
        """
        check_host_access(plan.function, self.inputs.settings)
        folder = self.workspace.state / "builds" / plan.name / digest([name])
        for path, content in render_function(plan, self.inputs).items():
            write_file(folder / path.removeprefix(f"functions/{plan.name}/"), content, is_durable=False)
        context = self.workspace.root / plan.function.context
        build = plan.spec.build
        flags = (*((("--no-cache", ""),) if build.no_cache else ()), *split_flags(build.flags))
        contexts = {"config": folder}
        if plan.function.shared:
            contexts["shared"] = self.workspace.root / FUNCTIONS / SHARED
        try:
            yield Build((name,), folder / "Dockerfile", context, contexts, self._secrets(), flags=flags)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _make_base(self) -> None:
        base_images = self.inputs.base_images
        base = image.debian_image(base_images.archive, base_images.renewed)
        if base_images.is_registry or self.engine.has_image(base):
            return
        with console.working(f"Building a base image from the packages of {base_images.archive.codename}") as work:
            work.follow(make_base(base_images.archive, base))

    def _make_server(self, name: str, folder: str) -> Iterator[str]:
        """Make the image of the broker or the gateway, whose recipe is in a folder, or pull the registry's."""
        if self.inputs.base_images.is_registry:
            return Driver(self.engine).pull(name)
        return build_image(self._plan_build(folder, name))

    def _make_dashboard(self, name: str) -> Iterator[str]:
        return Driver(self.engine).pull(name) if is_nuclio(self.inputs.settings) else self._make_control(name)

    def _make_control(self, name: str) -> Iterator[str]:
        return build_image(self._plan_build("control", name, context=LIBRARIES.parent))

    def _make_processor(self, name: str, base: str = "") -> Iterator[str]:
        build = self._plan_build("processor", name, context=PROGRAM / "stack")
        build = replace(build, contexts={"config": build.dockerfile.parent})
        if base:
            return build_image(replace(build, args={"BASE": base}))
        return build_image(replace(build, tags=(name, f"{image.PROCESSOR}:latest")))

    def _make_layer(self, layer: str, name: str, base: str) -> Iterator[str]:
        build = self._plan_build(layer, name)
        return build_image(replace(build, args={"BASE": processor_image(self.inputs), "NODE": base}))

    def _plan_build(self, recipe: str, name: str, *, context: Path | None = None) -> Build:
        folder = self.workspace.rendered / "images" / recipe
        return Build((name,), folder / "Dockerfile", context or folder, secrets=self._secrets())

    def _secrets(self) -> dict[str, Path]:
        ca = find_ca(self.inputs.settings)
        return {"ca": ca} if ca else {}


def explain_change(name: str) -> str:
    """Return why a function has no image though it was built."""
    return f"{FUNCTIONS}/{name} was changed while its image was built; type it again when all is written."


def _is_plain(plan: FunctionPlan) -> bool:
    """Return whether a function's image is built by nothing but its Dockerfile."""
    build = plan.spec.build
    return not (runs_as_is(plan.function) or build.no_cache or build.flags)


def build_all(jobs: Sequence[Callable[[], object]]) -> None:
    """Run jobs that build, side by side; if this task is interrupted meanwhile, the builds end too."""
    with ThreadPoolExecutor(_BUILDS_AT_ONCE) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            wait(running)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_commands()
            raise
    for job in running:
        job.result()
