"""Functions: what the processor is told, and what their images are made of."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stack.config.attributes import QUORUM
from stack.config.environment import SecretRef
from stack.config.function import DEFAULT_HTTP, DEFAULT_PROJECT, PROJECT_LABEL, Spec
from stack.config.settings import Settings
from stack.config.source import Function
from stack.config.trigger import CronTrigger, HttpTrigger, MqttTrigger, RabbitTrigger, Trigger
from stack.config.value import is_own_broker
from stack.contract import (
    BROKER_MQTT_URL,
    BROKER_URL,
    DEAD,
    MQTT,
    MQTT_EXCHANGE,
    RABBITMQ,
    SIGNATURE_KEY,
    name_queue,
    to_key,
)
from stack.errors import ConfigError
from stack.plan.broker import AMQP_PORT, MQTT_PORT, SERVICE, Bound, has_own_account
from stack.plan.code_entry import runs_as_is
from stack.plan.dead_letter import is_kept_for
from stack.plan.image import digest, split_reference
from stack.plan.template import write_flow

IMAGE = "nuclio/processor-"
# The secret that holds the broker's URL with its password, mounted as the file `broker.url`; and where it speaks MQTT.
BROKER_SECRET = SecretRef(*BROKER_URL.split("."))
MQTT_SECRET = SecretRef(*BROKER_MQTT_URL.split("."))
# The key by which the processor signs what it writes into the headers of a message that is tried again.
SIGNATURE_SECRET = SecretRef(*SIGNATURE_KEY.split("."))
STACK_SECRETS = (MQTT_SECRET, SIGNATURE_SECRET, BROKER_SECRET)
# Characters of a part of a name in DNS.
_LONGEST_LABEL = 63
# The longest pause between attempts to reach the stack's own broker, which is back within seconds of a restart.
OWN_RECONNECT = "2s"


class Named(Protocol):
    """What has the names of a function."""

    @property
    def name(self) -> str:
        """The function's name."""

    @property
    def namespace(self) -> str:
        """The namespace that it is in."""


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
    def http(self) -> HttpTrigger | None:
        """Return its http trigger, if it has one."""
        return next((trigger for trigger in self.triggers.values() if isinstance(trigger, HttpTrigger)), None)

    @property
    def is_routed(self) -> bool:
        """Return whether the gateway leads to it once it is deployed."""
        return self.http is not None and self.http.is_published

    @property
    def uses_broker_account(self) -> bool:
        """Return whether a trigger logs in to the stack's broker as the stack's own clients do."""
        return any(_uses_stack_account(trigger) or _falls_back(trigger) for trigger in self.triggers.values())

    @property
    def signs_retries(self) -> bool:
        """Return whether the processor writes headers into messages that are tried again."""
        return any(isinstance(trigger, RabbitTrigger | MqttTrigger) for trigger in self.triggers.values())


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
    plan = complete_function(function, _find_handler(function), settings)
    if problems := list(_find_collisions(plan)):
        raise ConfigError(problems)
    return plan


def complete_function(function: Function, handler: str, settings: Settings) -> FunctionPlan:
    """Fill in what Nuclio fills in: the namespace, and an http trigger where none is given or refused.

    A trigger that is disabled is left out, which Nuclio forgets.
    """
    spec = function.config.spec
    triggers = {name: trigger for name, trigger in spec.triggers.items() if not trigger.disabled}
    if not spec.disable_default_http_trigger and not any(isinstance(t, HttpTrigger) for t in spec.triggers.values()):
        triggers[DEFAULT_HTTP] = HttpTrigger(kind="http")
    namespace = function.config.metadata.namespace or settings.namespace
    return FunctionPlan(function, namespace, handler, triggers)


def processor_document(plan: FunctionPlan) -> str:
    """Return the processor.yaml of a function: what its author wrote, and what the processor cannot know."""
    metadata = plan.function.config.metadata
    labels = {PROJECT_LABEL: plan.project, **metadata.labels}
    spec = plan.spec.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, mode="json", exclude={"build"})
    spec["handler"] = plan.handler
    spec["triggers"] = {name: _processor_trigger(plan, name, trigger) for name, trigger in plan.triggers.items()}
    head = {"name": plan.name, "namespace": plan.namespace, "labels": labels, "annotations": metadata.annotations}
    document = {"metadata": head, "spec": spec}
    # As JSON, which is YAML too: the processor, which starts with each container, reads it without a YAML library.
    return f"{write_flow(document, indent=2)}\n"


def inline_source(plan: FunctionPlan) -> tuple[str, bytes] | None:
    """Return the file that holds the inline source, relative to /opt/nuclio, and its content."""
    build = plan.spec.build
    if not build.function_source_code:
        return None
    return module_path(plan.handler), build.source


def module_path(handler: str) -> str:
    """Return the file that a handler's module is, relative to the function's folder."""
    return f"{handler.partition(':')[0].replace('.', '/')}.py"


def package_path(module: str) -> str:
    """Return the file that a module is if it is a package."""
    return f"{module.removesuffix('.py')}/__init__.py"


def _find_collisions(plan: FunctionPlan) -> Iterator[str]:
    """Yield the queues of triggers in which failed messages of the function's other triggers are to wait."""
    queues = name_queues(plan)
    for name, queue in queues.items():
        for other, source in queues.items():
            if is_kept_for(queue, source):
                what = f"{queue!r} holds the failed messages of {source!r}, the queue of the trigger {other!r}"
                yield f"{plan.function.document}: spec.triggers.{name}.attributes.queueName: {what}; choose another"


def _find_handler(function: Function) -> str:
    """Return the handler: as given, or the only place where it can be."""
    spec = function.config.spec
    if not function.is_fetched or runs_as_is(function):
        return spec.handler or "main:handler"
    modules = [path for path in (file.path for file in function.files) if path.endswith(".py")]
    if spec.build.function_source_code:
        return spec.handler or "main:handler"
    if spec.handler:
        _require_module(function, spec.handler, modules)
        return spec.handler
    top = [posixpath.splitext(path)[0] for path in modules if "/" not in path]
    candidates = [name for name in ("main", function.name) if name in top] or (top if len(top) == 1 else [])
    if not candidates:
        raise ConfigError([f"{function.document}: spec.handler: is required, such as main:handler for main.py"])
    return f"{candidates[0]}:handler"


def _require_module(function: Function, handler: str, modules: list[str]) -> None:
    module = module_path(handler)
    if module in modules or package_path(module) in modules:
        return
    found = ", ".join(modules) or "no Python file"
    problem = f"{handler!r} needs {module}, but the folder holds {found}"
    raise ConfigError([f"{function.document}: spec.handler: {problem}"])


def _uses_stack_account(trigger: Trigger) -> bool:
    if not isinstance(trigger, RabbitTrigger | MqttTrigger):
        return False
    return is_stack_broker(trigger) and not has_own_account(trigger.url) and not trigger.username


def is_stack_broker(trigger: RabbitTrigger | MqttTrigger) -> bool:
    """Return whether a trigger means the stack's broker; a secret with the URL of another wins over its url."""
    return not trigger.secret and is_own_broker(trigger.url)


def _falls_back(trigger: Trigger) -> bool:
    """Return whether a trigger needs the stack's broker beside its own source.

    A cron trigger learns there which replica is on duty, and an mqtt trigger's failed messages are kept there.
    """
    return isinstance(trigger, MqttTrigger | CronTrigger)


def _processor_trigger(plan: FunctionPlan, name: str, trigger: Trigger) -> dict[str, Any]:
    document = trigger.model_dump(by_alias=True, exclude_defaults=True, exclude={"kind"}, mode="json")
    attributes = trigger.attributes.model_dump(by_alias=True, mode="json", exclude_unset=True)
    document |= {"name": name, "kind": _kind(trigger), "numWorkers": trigger.workers, "attributes": attributes}
    if _uses_stack_account(trigger):
        document |= {"url": _public_url(trigger), "secret": str(BROKER_SECRET)}
        attributes.setdefault("reconnectInterval", OWN_RECONNECT)
    elif isinstance(trigger, RabbitTrigger | MqttTrigger) and not trigger.url and not trigger.secret:
        document["url"] = f"amqp://{SERVICE}:{AMQP_PORT}"
    if isinstance(trigger, RabbitTrigger | MqttTrigger):
        attributes["queueName"] = attributes.get("queueName") or default_queue(plan, name, trigger)
        attributes["queueType"] = find_queue_type(trigger)
    return document


def default_queue(function: Named, name: str, trigger: RabbitTrigger | MqttTrigger) -> str:
    """Return the queue of a trigger that names none; a rabbit-mq trigger's is Nuclio's own."""
    return name_queue(function.namespace, function.name, name, _kind(trigger))


def find_queue_type(trigger: RabbitTrigger | MqttTrigger) -> str:
    """Return the type of a trigger's queue, and of those for its failed messages; nothing leaves it to the broker.

    A broker elsewhere may hold such a queue already, of another type, so it is asked for none unless the author does.
    """
    given = trigger.attributes.queue_type
    if given or isinstance(trigger, MqttTrigger):
        return given or QUORUM
    return QUORUM if trigger.attributes.durable_queue and is_stack_broker(trigger) else ""


class Triggered(Named, Protocol):
    """What has the names and triggers of a function."""

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        """What makes it run."""


def own_queues(plan: Triggered) -> tuple[str, ...]:
    """List the queues on the stack's broker that the function consumes.

    An mqtt trigger has one whatever its broker: its failed messages are kept there.
    """
    return tuple(name_queues(plan).values())


def name_queues(plan: Triggered) -> dict[str, str]:
    """Return the same queues by their triggers' names."""
    return {
        name: trigger.attributes.queue_name or default_queue(plan, name, trigger)
        for name, trigger in plan.triggers.items()
        if isinstance(trigger, MqttTrigger) or (isinstance(trigger, RabbitTrigger) and is_stack_broker(trigger))
    }


def count_dead_letters(plan: Triggered, messages: Mapping[str, int]) -> int:
    """Return how many dead letters a function has, by how many messages each queue of the broker holds."""
    return sum(messages.get(queue + DEAD, 0) for queue in dict.fromkeys(own_queues(plan)))


def bound_queues(plan: FunctionPlan) -> tuple[Bound, ...]:
    """List what the function's triggers declare and bind on the stack's broker."""
    return tuple(
        _bound(plan, name, trigger)
        for name, trigger in plan.triggers.items()
        if isinstance(trigger, RabbitTrigger | MqttTrigger) and is_stack_broker(trigger) and _topics(trigger)
    )


def taken_queues(plan: FunctionPlan) -> tuple[str, ...]:
    """List the queues of the stack's broker that the function consumes as they are, however they were declared."""
    bound = {one.queue for one in bound_queues(plan)}
    return tuple(queue for queue in own_queues(plan) if queue not in bound)


def _topics(trigger: RabbitTrigger | MqttTrigger) -> tuple[str, ...]:
    """Return the binding keys of a trigger's queue."""
    if isinstance(trigger, MqttTrigger):
        return tuple(dict.fromkeys(to_key(one.topic) for one in trigger.attributes.subscriptions))
    return tuple(trigger.attributes.topics)


def _bound(plan: FunctionPlan, name: str, trigger: RabbitTrigger | MqttTrigger) -> Bound:
    queue = trigger.attributes.queue_name or default_queue(plan, name, trigger)
    if isinstance(trigger, MqttTrigger):
        return Bound(MQTT_EXCHANGE, True, queue, True, _topics(trigger), find_queue_type(trigger))
    given = trigger.attributes
    return Bound(
        exchange=given.exchange_name,
        is_durable_exchange=given.durable_exchange,
        queue=queue,
        is_durable_queue=given.durable_queue,
        topics=_topics(trigger),
        queue_type=find_queue_type(trigger),
    )


def _kind(trigger: Trigger) -> str:
    return RABBITMQ if isinstance(trigger, RabbitTrigger) else trigger.kind


def _public_url(trigger: Trigger) -> str:
    """Return the address without an account, which the secret holds."""
    return f"mqtt://{SERVICE}:{MQTT_PORT}" if trigger.kind == MQTT else f"amqp://{SERVICE}:{AMQP_PORT}"
