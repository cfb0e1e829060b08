"""Functions: what the processor is told, and what their images are made of."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import BaseModel

from stack.config.function import DEFAULT_HTTP, DEFAULT_PROJECT, PROJECT_LABEL, Spec
from stack.config.output.registry import Output
from stack.config.output.registry import kind_of as kind_of_output
from stack.config.settings import Settings
from stack.config.source import Function
from stack.config.trigger.base import CLASSIC
from stack.config.trigger.http import HttpTrigger
from stack.config.trigger.registry import Trigger, kind_of
from stack.contract import DEAD, HTTP
from stack.errors import ConfigError
from stack.plan.broker import Bound
from stack.plan.code_entry import runs_as_is
from stack.plan.dead_letter import is_kept_for
from stack.plan.image import digest, split_reference
from stack.plan.output.registry import find_kind as find_output_kind
from stack.plan.runtime.registry import find_runtime
from stack.plan.runtime.runtime import Runtime
from stack.plan.template import write_flow
from stack.plan.trigger.http import find_http
from stack.plan.trigger.kind import Named
from stack.plan.trigger.registry import find_kind

IMAGE = "nuclio/processor-"
# Characters of a part of a name in DNS.
_LONGEST_LABEL = 63


@dataclass(frozen=True)
class FunctionPlan:
    """A function, ready to be rendered; every default is filled in."""

    function: Function
    namespace: str
    handler: str
    triggers: dict[str, Trigger]

    @property
    def name(self) -> str:
        """Return the function's name."""
        return self.function.name

    @property
    def spec(self) -> Spec:
        """Return what its author wrote."""
        return self.function.config.spec

    @property
    def project(self) -> str:
        """Return the project that the function belongs to."""
        return self.function.config.metadata.labels.get(PROJECT_LABEL, DEFAULT_PROJECT)

    @property
    def content(self) -> str:
        """Return a digest of its configuration and its files, the same wherever it is deployed; nothing if unknown."""
        function = self.function
        files = (*function.files, *function.shared)
        if function.content or not all(one.digest for one in files):
            return function.content
        parts = [function.config.model_dump_json(by_alias=True, exclude_unset=True), function.version]
        return digest([*parts, *(text for one in files for text in (one.path, one.digest))])

    @property
    def service(self) -> str:
        """Return its service's name in Compose."""
        return service_name(self.name)

    @property
    def host(self) -> str:
        """Return a name by which Docker's DNS knows its containers: its service's, unless that is too long for DNS."""
        is_short = all(len(label) <= _LONGEST_LABEL for label in self.service.split("."))
        return self.service if is_short else service_name(digest([self.name]))

    @property
    def repository(self) -> str:
        """Return its image's name without a tag: as build.image says, or Nuclio's own."""
        given = self.spec.build.image
        return split_reference(given)[0] if given else image_repository(self.name)

    @property
    def tag(self) -> str:
        """Return the name by which others know the image that was deployed last."""
        return f"{self.repository}:{split_reference(self.spec.build.image)[1]}"

    @property
    def outputs(self) -> Mapping[str, Output]:
        """Return where it sends what it makes, by name."""
        return self.spec.outputs

    @property
    def runtime(self) -> Runtime:
        """Return what is particular to its runtime."""
        return find_runtime(self.spec.runtime)

    @property
    def http(self) -> HttpTrigger | None:
        """Return its http trigger, if it has one."""
        return find_http(self.triggers)

    @property
    def port(self) -> int:
        """Return the port of this machine that is to lead to it alone; 0 is none."""
        return self.http.attributes.port if self.http else 0

    @property
    def claims(self) -> tuple[str, ...]:
        """Return Compose's names of the volumes that it keeps data in."""
        found = (item.volume.persistent_volume_claim for item in self.spec.claims)
        return tuple(one.volume_name for one in found if one)

    @property
    def is_routed(self) -> bool:
        """Return whether the gateway leads to it once it is deployed."""
        return self.http is not None and self.http.is_published

    @property
    def uses_broker_account(self) -> bool:
        """Return whether a trigger or an output needs an account of the stack's broker."""
        return any(find_kind(trigger).needs_account(trigger) for trigger in self.triggers.values()) or any(
            find_output_kind(output).needs_account for output in self.outputs.values()
        )

    @property
    def needs_key(self) -> bool:
        """Return whether it has a key: it signs messages that are tried again, and knows Tidegate's calls by it."""
        kinds = map(find_kind, self.triggers.values())
        return any(kind.has_broker or kind.has_port for kind in kinds)


def service_name(name: str) -> str:
    """Return the Compose service of a function."""
    return f"function-{name}"


def image_repository(name: str) -> str:
    """Return the image of a function without a tag; image names are lower case."""
    return f"{IMAGE}{name.lower()}"


def plan_function(function: Function, settings: Settings) -> FunctionPlan:
    """Fill in what the author left out.

    Raises:
        ConfigError: the handler cannot be found, or one trigger's queue is to hold the failed messages of another's.
    """
    wanted = _replicate(function) if settings.broker.nodes > 1 else function
    plan = complete_function(wanted, _find_handler(wanted), settings=settings)
    if problems := [*_find_collisions(plan)]:
        raise ConfigError(problems)
    return plan


def complete_function(function: Function, handler: str, *, settings: Settings) -> FunctionPlan:
    """Fill in what Nuclio fills in: the namespace, and an http trigger where none is given or refused.

    A trigger that is disabled is left out, which Nuclio forgets.
    """
    spec = function.config.spec
    triggers = {name: trigger for name, trigger in spec.triggers.items() if not trigger.disabled}
    if not spec.disable_default_http_trigger and not find_http(spec.triggers):
        triggers[DEFAULT_HTTP] = HttpTrigger(kind=HTTP)
    namespace = function.config.metadata.namespace or settings.namespace
    return FunctionPlan(function, namespace, handler, triggers)


def processor_document(plan: FunctionPlan) -> str:
    """Return the processor.yaml of a function: what its author wrote, and what the processor cannot know."""
    metadata = plan.function.config.metadata
    labels = {PROJECT_LABEL: plan.project, **metadata.labels}
    spec = plan.spec.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, mode="json", exclude={"build"})
    spec["handler"] = plan.handler
    spec["triggers"] = {
        name: _processor_trigger(plan, name, trigger=trigger) for name, trigger in plan.triggers.items()
    }
    if plan.outputs:
        spec["outputs"] = {name: _processor_output(output) for name, output in plan.outputs.items()}
    head = {"name": plan.name, "namespace": plan.namespace, "labels": labels, "annotations": metadata.annotations}
    document = {"metadata": head, "spec": spec}
    # As JSON, which is YAML too: the processor, which starts with each container, reads it without a YAML library.
    return f"{write_flow(document, indent=2)}\n"


def inline_source(plan: FunctionPlan) -> tuple[str, bytes] | None:
    """Return the file that holds the inline source, relative to /opt/nuclio, and its content."""
    build = plan.spec.build
    if not build.function_source_code:
        return None
    return plan.runtime.list_sources(plan.handler)[0], build.source


def _find_collisions(plan: FunctionPlan) -> Iterator[str]:
    """Yield the queues of triggers in which failed messages of the function's other triggers are to wait."""
    queues = name_queues(plan)
    for name, queue in queues.items():
        for other, source in queues.items():
            if is_kept_for(queue, source):
                what = f"{queue!r} holds the failed messages of {source!r}, the queue of the trigger {other!r}"
                yield f"{plan.function.document}: spec.triggers.{name}.attributes.queueName: {what}; choose another"


def _replicate(function: Function) -> Function:
    """Leave out that a durable queue is classic: it would be on one node of the broker, and stand still without it."""
    spec = function.config.spec
    triggers = {name: _leave_out_classic(one.attributes) for name, one in spec.triggers.items()}
    outputs = {name: _leave_out_classic(one) for name, one in spec.outputs.items()}
    changes: dict[str, Any] = {}
    if any(outputs[name] is not one for name, one in spec.outputs.items()):
        changes["outputs"] = outputs
    if any(triggers[name] is not one.attributes for name, one in spec.triggers.items()):
        copies = {name: one.model_copy(update={"attributes": triggers[name]}) for name, one in spec.triggers.items()}
        changes["triggers"] = copies
    changed = function.config.model_copy(update={"spec": spec.model_copy(update=changes)})
    return replace(function, config=changed) if changes else function


def _leave_out_classic(model: BaseModel) -> BaseModel:
    is_durable = getattr(model, "durable_queue", getattr(model, "durable", None)) is not False
    is_single = is_durable and getattr(model, "queue_type", "") == CLASSIC
    return model.model_copy(update={"queue_type": ""}) if is_single else model


def _find_handler(function: Function) -> str:
    """Return the handler: as given, or the only place where it can be."""
    spec = function.config.spec
    if not function.is_fetched or runs_as_is(function):
        return spec.handler or "main:handler"
    files = find_runtime(spec.runtime).files
    modules = [path for path in (file.path for file in function.files) if path.endswith(files.suffixes)]
    if spec.build.function_source_code:
        return spec.handler or "main:handler"
    if spec.handler:
        # What is run in the build may make the file, such as a compiler of TypeScript.
        if not spec.build.runs_after_copy:
            _require_module(function, spec.handler, modules=modules)
        return spec.handler
    top = [posixpath.splitext(path)[0] for path in modules if "/" not in path and not path.startswith(files.tests)]
    candidates = [name for name in ("main", function.name) if name in top] or (top if len(top) == 1 else [])
    if not candidates:
        raise ConfigError(
            [f"{function.document}: spec.handler: is required, such as main:handler for main{files.suffix}"]
        )
    return f"{candidates[0]}:handler"


def _require_module(function: Function, handler: str, *, modules: list[str]) -> None:
    runtime = find_runtime(function.config.spec.runtime)
    sources = runtime.list_sources(handler)
    if any(path in modules for path in sources):
        return
    found = ", ".join(modules) or f"no {runtime.title} file"
    problem = f"{handler!r} needs {sources[0]}, but the folder holds {found}"
    raise ConfigError([f"{function.document}: spec.handler: {problem}"])


def _processor_trigger(plan: FunctionPlan, name: str, *, trigger: Trigger) -> dict[str, Any]:
    kind = find_kind(trigger)
    unused = {"kind"} if kind.has_broker else {"kind", "url", "secret"}
    document = trigger.model_dump(by_alias=True, exclude_defaults=True, exclude=unused, mode="json")
    attributes = trigger.attributes.model_dump(by_alias=True, mode="json", exclude_unset=True)
    document |= {"name": name, "kind": kind_of(trigger), "numWorkers": trigger.workers, "attributes": attributes}
    kind.complete(plan, name, trigger, document)
    return document


def _processor_output(output: Output) -> dict[str, Any]:
    document = output.model_dump(by_alias=True, exclude_unset=True, mode="json")
    document["kind"] = kind_of_output(output)
    find_output_kind(output).complete(output, document)
    return document


class Triggered(Named, Protocol):
    """What has the names and triggers of a function."""

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        """What makes it run."""


def own_queues(plan: Triggered) -> tuple[str, ...]:
    """List the queues on the stack's broker that the function consumes."""
    return tuple(name_queues(plan).values())


def name_queues(plan: Triggered) -> dict[str, str]:
    """Return the same queues by their triggers' names."""
    return {name: bound.queue for name, bound in find_queues(plan).items()}


def find_queues(plan: Triggered) -> dict[str, Bound]:
    """Return what each trigger has on the stack's broker, those that have a queue there."""
    found = ((name, find_kind(one).find_queue(plan, name, one)) for name, one in plan.triggers.items())
    return {name: bound for name, bound in found if bound}


def count_dead_letters(plan: Triggered, messages: Mapping[str, int]) -> int:
    """Return how many dead letters a function has, by how many messages each queue of the broker holds."""
    return sum(messages.get(queue + DEAD, 0) for queue in dict.fromkeys(own_queues(plan)))


def bound_queues(plan: Triggered) -> tuple[Bound, ...]:
    """List what the function's triggers declare and bind on the stack's broker."""
    return tuple(bound for bound in find_queues(plan).values() if bound.topics)


def declared_by_outputs(plan: FunctionPlan) -> dict[str, Bound]:
    """Return what each output declares at the stack's broker, those that declare anything."""
    found = ((name, find_output_kind(one).find_declared(one)) for name, one in plan.outputs.items())
    return {name: bound for name, bound in found if bound}


def declared_on_broker(plan: FunctionPlan) -> tuple[Bound, ...]:
    """List what the function's triggers and outputs declare on the stack's broker; the triggers' wins."""
    return (*declared_by_outputs(plan).values(), *bound_queues(plan))


def taken_queues(plan: FunctionPlan) -> tuple[str, ...]:
    """List the queues of the stack's broker that the function consumes as they are, however they were declared."""
    bound = {one.queue for one in bound_queues(plan)}
    return tuple(queue for queue in own_queues(plan) if queue not in bound)
