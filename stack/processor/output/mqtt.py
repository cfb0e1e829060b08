"""A topic: RabbitMQ gives MQTT clients what is published to amq.topic with the routing key of the topic."""

from importlib import import_module

from stack.contract import MQTT_EXCHANGE, to_key
from stack.processor.configuration import Function, Output
from stack.processor.output.target import Address, OpenTarget, Route, Target

# It brings paho, which functions whose outputs retain nothing do without.
_RETAINED = "stack.processor.output.retained"


def open_target(output: Output, function: Function) -> Target:
    """Return where an mqtt output leads to; RabbitMQ takes a persistent message for one of quality 1."""
    attributes = output.attributes
    if attributes.flag("retain", False):
        open_retained: OpenTarget = import_module(_RETAINED).open_target
        return open_retained(output, function)
    route = Route(MQTT_EXCHANGE, is_persistent=attributes.integer("qos", 1) > 0, to_key=to_key)
    return Target(output.name, Address(attributes.text("topic"), is_topic=True), route)
