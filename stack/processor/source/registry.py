"""Which module serves which process: each kind of trigger has one, which has a function `open_source`.

A module is imported only where a trigger of its kind is there, since its libraries take memory and a part of a start.
"""

from functools import partial
from importlib import import_module

from stack.processor.configuration import Function
from stack.processor.delivery import DeliveryQueue, Intake, Report, Source
from stack.processor.loop import LoopSharingQueue
from stack.processor.source.pool import PoolSource
from stack.processor.worker_spec import Role, WorkerSpec, is_on_amqp

_PACKAGE = "stack.processor.source"
_AMQP = "rabbitmq.source"
_MODULES = {"http": "http.source", "rabbit-mq": _AMQP, "mqtt": "mqtt.source", "cron": "cron"}

# Seconds that outcomes may wait for more of their kind while the handler is busy. No one waits for the acknowledgement
# of a message, and a broker has less work with few of them.
_PATIENCE, _AMQP_PATIENCE = 0.001, 0.01


def find_flush_interval(spec: WorkerSpec) -> float:
    """Return for how many seconds outcomes may wait for more of their kind while the handler is busy."""
    return _AMQP_PATIENCE if spec.role is Role.WORKER and spec.trigger.kind in ("rabbit-mq", "mqtt") else _PATIENCE


def open_queue(spec: WorkerSpec) -> DeliveryQueue | LoopSharingQueue:
    """Return what a sync handler takes its deliveries from: one that runs the source's loop, where it has one."""
    has_loop = spec.role is Role.WORKER and spec.trigger.kind != "cron"
    return LoopSharingQueue() if has_loop else DeliveryQueue()


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> Source:
    """Return the source of a process, not started yet."""
    if spec.pool and spec.role is not Role.DISPATCHED:
        return PoolSource([partial(open_source, one, function) for one in spec.pool], intake, report)
    source: Source = import_module(_find_module(spec)).open_source(spec, function, intake, report)
    return source


def preload(specs: tuple[WorkerSpec, ...]) -> None:
    """Import what the sources of these processes need, so that all of them share one copy of it in memory."""
    for spec in specs:
        if spec.pool and spec.role is not Role.DISPATCHED:
            preload(spec.pool)
        else:
            import_module(_find_module(spec))


def _find_module(spec: WorkerSpec) -> str:
    if spec.role is Role.DISPATCHED:
        return f"{_PACKAGE}.dispatched"
    return f"{_PACKAGE}.{_AMQP if is_on_amqp(spec.trigger) else _MODULES[spec.trigger.kind]}"
