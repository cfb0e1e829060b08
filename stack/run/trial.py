"""A message put into one function's queue, to try it: no other function is given it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pika import BasicProperties, BlockingConnection, URLParameters
from pika.exceptions import AMQPError, NackError, UnroutableError

from stack.errors import BrokerError, FunctionError
from stack.plan.dead_letter import EXCHANGE, ROUTING_KEY
from stack.plan.entrance import Entrance
from stack.run.broker import find_broker
from stack.run.stack import Stack


@dataclass(frozen=True)
class Message:
    """What is put there; `address` is the topic or routing key that its event tells."""

    address: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


def put_message(stack: Stack, entrance: Entrance, message: Message) -> None:
    """Put a message into the queue of an entrance, as if it had been published; the broker has it when this returns.

    Raises:
        FunctionError: the queue is not there, since the function does not run.
        BrokerError: RabbitMQ does not answer.
    """
    broker = find_broker(stack)
    parameters = URLParameters(broker.amqp_url)
    parameters.client_properties = {"connection_name": "tidegate-trial"}
    try:
        with BlockingConnection(parameters) as connection:
            channel: Any = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish("", entrance.queue, message.body, _describe(entrance, message), mandatory=True)
    except (UnroutableError, NackError) as error:
        raise FunctionError(f"There is no queue {entrance.queue}. Deploy the function, then do this again.") from error
    except AMQPError as error:
        reason = str(error) or type(error).__name__
        raise BrokerError(f"RabbitMQ at {broker.host}:{broker.amqp_port}: {reason}. Type `invoke up`.") from error


def _describe(entrance: Entrance, message: Message) -> BasicProperties:
    headers: dict[str, Any] = dict(message.headers)
    if entrance.exchange:
        headers |= {EXCHANGE: entrance.exchange, ROUTING_KEY: entrance.find_key(message.address)}
    return BasicProperties(content_type=message.content_type or None, headers=headers, delivery_mode=1)
