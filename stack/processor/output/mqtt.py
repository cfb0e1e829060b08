"""A topic: RabbitMQ gives MQTT clients what is published to amq.topic with the routing key of the topic."""

from stack.contract import MQTT_EXCHANGE, to_key
from stack.processor.configuration import Function, Output
from stack.processor.output.target import Address, Route, Target


def open_target(output: Output, _function: Function) -> Target:
    """Return where an mqtt output leads to; RabbitMQ takes a persistent message for one of quality 1."""
    attributes = output.attributes
    route = Route(MQTT_EXCHANGE, is_persistent=attributes.integer("qos", 1) > 0, to_key=to_key)
    return Target(output.name, Address(attributes.text("topic"), is_topic=True), route)
