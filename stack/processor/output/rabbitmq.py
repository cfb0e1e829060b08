"""An exchange, or a queue, of the stack's own broker."""

from stack.contract import ALERTER, ALERTS
from stack.processor.configuration import Function, Output
from stack.processor.output.target import Address, Route, Target


def open_target(output: Output, _function: Function) -> Target:
    """Return where a rabbit-mq output leads to."""
    attributes = output.attributes
    exchange, queue = attributes.text("exchange"), attributes.text("queue")
    is_durable = attributes.flag("durable", bool(queue))
    copies = (ALERTER,) if queue == ALERTS else ()
    route = Route(exchange, queue, is_durable, attributes.text("queueType"), copies=copies)
    address = Address(queue or attributes.text("routingKey"), takes_key=bool(exchange))
    return Target(output.name, address, route)
