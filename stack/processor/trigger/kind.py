"""What the processor does differently for one kind of trigger than for another: nothing else asks for the kind."""

from collections.abc import Callable
from dataclasses import dataclass

from stack.processor.configuration import Trigger
from stack.processor.event import Builder

# Seconds that outcomes may wait for more of their kind while the handler is busy. No one waits for the acknowledgement
# of a message, and a broker has less work with few of them.
FLUSH_INTERVAL, BROKER_FLUSH_INTERVAL = 0.001, 0.01


@dataclass(frozen=True)
class TriggerKind:
    """One kind of trigger, `KIND` of its module."""

    source: str
    """The module with a function `open_source`, which may be the entry's own.

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
    on_amqp: "TriggerKind | None" = None
    """What it is instead where its URL is one of AMQP: it then takes from a queue of RabbitMQ."""
