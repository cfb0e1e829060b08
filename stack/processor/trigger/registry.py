"""Kinds of triggers: what the processor does differently for each, found by the table of `stack/contract.py`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from nuclio_sdk import Event

from stack.contract import KINDS
from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Trigger
from stack.processor.event import Builder, EventForm, encode_event
from stack.processor.message import PooledMessage

# Seconds that outcomes may wait for more of their kind while the handler is busy. No one waits for the acknowledgement
# of a message, and a broker has less work with few of them.
FLUSH_INTERVAL, BROKER_FLUSH_INTERVAL = 0.001, 0.01


@dataclass(frozen=True)
class TriggerKind:
    """One kind of trigger, `KIND` of its module."""

    source: str
    """The module with a function `open_source`, which may be the entry's own.

    It is imported only where a trigger of the kind is there, since its libraries take memory and a part of a start."""
    open_builder: Callable[[Trigger, EventForm], Builder]
    """Returns what builds a trigger's events."""
    flush_interval: float = FLUSH_INTERVAL
    """Seconds that outcomes may wait for more of their kind while the handler is busy."""
    has_loop: bool = True
    """Whether the source runs on an event loop, which the handler's thread may run too."""
    has_port: bool = False
    """Whether it serves clients on a port, who wait for the response and come again themselves."""
    is_single: bool = False
    """Whether there can be one source only, such as one session: a dispatcher then has it where workers are several."""
    is_serial: bool = False
    """Whether one event runs at a time, also where numWorkers says more; as with Nuclio."""
    on_amqp: "TriggerKind | None" = None
    """What it is instead where its URL is one of AMQP: it then takes from a queue of RabbitMQ."""


def find_kind(trigger: Trigger) -> TriggerKind:
    """Return the kind of a trigger.

    Raises:
        ConfigurationError: there is no such kind; in the words in which its function.yaml is refused.
    """
    if trigger.kind not in KINDS:
        where = f"spec.triggers.{trigger.name}.kind"
        raise ConfigurationError(f"{where}: kind {trigger.kind!r} is not supported yet; supported: {', '.join(KINDS)}")
    kind = _load_kind(trigger.kind)
    return kind.on_amqp if kind.on_amqp and trigger.url.startswith(("amqp://", "amqps://")) else kind


@cache
def _load_kind(name: str) -> TriggerKind:
    kind: TriggerKind = import_module(f"stack.processor.trigger.{KINDS[name]}").KIND
    return kind


def open_builder(trigger: Trigger, form: EventForm) -> Builder:
    """Return what makes events of a trigger's messages."""
    build = find_kind(trigger).open_builder(trigger, form)
    return (lambda message: encode_event(build(message))) if form.encodes else build


def open_pool_builder(triggers: Sequence[Trigger], form: EventForm) -> Builder:
    """Return what makes events of the messages of several triggers that share their workers."""
    builders = [open_builder(trigger, form) for trigger in triggers]

    def build(pooled: PooledMessage) -> Event:
        return builders[pooled.trigger](pooled.message)

    return build
