"""The failed messages of another source, and the queue on the stack's own broker that keeps them."""

from collections.abc import Callable
from dataclasses import replace

from stack.contract import MQTT_EXCHANGE, name_queue, to_key
from stack.processor.attributes import Attributes
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.loop import ThreadRunner
from stack.processor.message import AmqpMessage
from stack.processor.source.broker import SourceContext, read_filters
from stack.processor.source.rabbitmq.publisher import PublishRequest
from stack.processor.source.rabbitmq.source import RabbitSource
from stack.processor.source.rabbitmq.topology import RetryMessage, Topology, build_retry, is_last
from stack.processor.stats import Count
from stack.processor.status import State
from stack.processor.worker_spec import WorkerSpec


def plan_queue(trigger: Trigger, function: Function) -> Topology:
    """Return the queue of an mqtt trigger, to which nothing is bound."""
    attributes = trigger.attributes
    return Topology(
        queue=attributes.text("queueName") or name_queue(function.namespace, function.name, trigger.name),
        durable_queue=True,
        exchange="",
        declares_exchange=False,
        durable_exchange=False,
        keys=(),
        queue_type=attributes.text("queueType"),
    )


def plan_topology(trigger: Trigger, function: Function) -> Topology:
    """Return the queue with its topics bound to it."""
    keys = tuple(to_key(topic) for topic in read_filters(trigger))
    return replace(plan_queue(trigger, function), exchange=MQTT_EXCHANGE, durable_exchange=True, keys=keys)


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> RabbitSource:
    """Return the source of a process, not started yet."""
    topology = plan_topology(spec.trigger, function)
    return RabbitSource(SourceContext(spec.trigger, function, intake, report, spec.in_flight), topology)


Confirmed = Callable[[], None]


class RetryQueueSource(RabbitSource):
    """Takes failed messages, and hands them over again when their delay is over, until they are dead letters.

    It has a queue of its own, into which the queues of retries give their messages back, and treats what fails again
    as any queue's messages.
    """

    def __init__(self, context: SourceContext) -> None:
        trigger, function = context.trigger, context.function
        own = replace(context, trigger=_at_broker(trigger, function), report=_Quiet(context.report))
        super().__init__(own, plan_queue(trigger, function), ThreadRunner())
        self._early: list[PublishRequest] | None = []

    def keep(self, message: AmqpMessage, failure: Failure, confirmed: Confirmed) -> None:
        """Keep a failed message, and call `confirmed`, on the I/O thread, when the broker has it; from any thread."""

        def settle() -> None:
            self.plan.count(Count.DEAD_LETTERED if is_last(message, failure, self.plan.retry_plan) else Count.RETRIED)
            confirmed()

        def make(is_bare: bool) -> RetryMessage:
            return build_retry(message, failure, self.plan.retry_plan, is_bare=is_bare)

        self._loop.call_soon_threadsafe(self._keep, PublishRequest(make, settle, is_wanted=lambda: True))

    def _keep(self, request: PublishRequest) -> None:
        """Publish a copy; the first only when the queue is there into which it comes back."""
        if self._early is None:
            self.plan.publisher.publish(request)
        else:
            self._early.append(request)

    def _on_consuming(self) -> None:
        super()._on_consuming()
        early, self._early = self._early, None
        for request in early or ():
            self.plan.publisher.publish(request)


class _Quiet:
    """Passes on what is counted and not how the stack's broker is, without which the other source goes on."""

    def __init__(self, report: Report) -> None:
        self.count, self.note = report.count, report.note

    def __call__(self, state: State, reason: str) -> None:
        """Say nothing."""


def _at_broker(trigger: Trigger, function: Function) -> Trigger:
    """Return a trigger with the stack's broker instead of its own."""
    own = Attributes(trigger.attributes.path, {"maxRetries": trigger.attributes.integer("maxRetries", 3)})
    return replace(trigger, url=function.broker_url, username="", password="", attributes=own)
