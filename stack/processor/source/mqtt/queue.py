"""Messages of MQTT topics from RabbitMQ itself: a queue of AMQP, to which the topics' routing keys are bound.

Unlike a session it has several consumers at once, and a place for what failed.
"""

from dataclasses import replace

from stack.contract import MQTT_EXCHANGE, name_queue, to_key
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Intake, Report
from stack.processor.source.broker import read_filters
from stack.processor.source.rabbitmq.source import RabbitSource
from stack.processor.source.rabbitmq.topology import Topology
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
    return RabbitSource(spec.trigger, function, intake, report, in_flight=spec.in_flight, topology=topology)
