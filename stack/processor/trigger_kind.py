"""The kinds of triggers: one entry for each, with all that the processor does differently for it.

A new kind is an entry here, a module with its source (`Source` in delivery.py) and what builds its events (event.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nuclio_sdk import Event

from stack.contract import CRON, HTTP, KINDS, MQTT, RABBITMQ
from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Trigger
from stack.processor.event import (
    Builder,
    encode_event,
    is_decoding,
    open_amqp_builder,
    open_cron_builder,
    open_http_builder,
    open_mqtt_builder,
)
from stack.processor.message import PooledMessage

# Seconds that outcomes may wait for more of their kind while the handler is busy. No one waits for the acknowledgement
# of a message, and a broker has less work with few of them.
FLUSH_INTERVAL, _AMQP_FLUSH_INTERVAL = 0.001, 0.01


@dataclass(frozen=True)
class TriggerKind:
    """What differs between kinds of triggers."""

    source: str
    """The module below stack.processor.source with a function `open_source`.

    It is imported only where a trigger of the kind is there, since its libraries take memory and a part of a start."""
    open_builder: Callable[[Trigger, str], Builder]
    """Returns what builds a trigger's events; the text is what str.decode does of headers that are not UTF-8."""
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


_MQTT_ON_AMQP = TriggerKind("rabbitmq.source", open_mqtt_builder, flush_interval=_AMQP_FLUSH_INTERVAL)
_BY_NAME = {
    HTTP: TriggerKind("http.source", open_http_builder, has_port=True, is_single=True),
    RABBITMQ: TriggerKind("rabbitmq.source", open_amqp_builder, flush_interval=_AMQP_FLUSH_INTERVAL),
    MQTT: TriggerKind("mqtt.source", open_mqtt_builder, flush_interval=_AMQP_FLUSH_INTERVAL, is_single=True),
    CRON: TriggerKind("cron", open_cron_builder, has_loop=False, is_serial=True),
}


def find_kind(trigger: Trigger) -> TriggerKind:
    """Return the kind of a trigger; an mqtt trigger whose URL is one of AMQP takes from a queue of RabbitMQ.

    Raises:
        ConfigurationError: there is no such kind; in the words in which its function.yaml is refused.
    """
    if trigger.kind not in _BY_NAME:
        where = f"spec.triggers.{trigger.name}.kind"
        raise ConfigurationError(f"{where}: kind {trigger.kind!r} is not supported yet; supported: {', '.join(KINDS)}")
    is_on_amqp = trigger.kind == MQTT and trigger.url.startswith(("amqp://", "amqps://"))
    return _MQTT_ON_AMQP if is_on_amqp else _BY_NAME[trigger.kind]


def open_builder(trigger: Trigger) -> Builder:
    """Return what makes events of a trigger's messages, as the environment says that texts are to be given."""
    if is_decoding():
        return find_kind(trigger).open_builder(trigger, "strict")
    build = find_kind(trigger).open_builder(trigger, "surrogateescape")
    return lambda message: encode_event(build(message))


def open_pool_builder(triggers: Sequence[Trigger]) -> Builder:
    """Return what makes events of the messages of several triggers that share their workers."""
    builders = [open_builder(trigger) for trigger in triggers]

    def build(pooled: PooledMessage) -> Event:
        return builders[pooled.trigger](pooled.message)

    return build
