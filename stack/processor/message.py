"""What arrived, before it is an event: plain data that a source hands over and that can cross to another process.

Making the event is left to the worker, so that the I/O thread does no work that the handler's thread can do.
"""

from typing import Any, NamedTuple

# The header under which the topic of an MQTT message travels while the message waits in a queue of AMQP to be tried
# again: there is no exchange whose routing key would tell it.
TOPIC = "x-mqtt-topic"


class HttpMessage(NamedTuple):
    """One request, its parts as they came over the wire; `received` is in seconds since the epoch."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    received: float


class AmqpMessage(NamedTuple):
    """One message of an AMQP queue; `properties` are pika's BasicProperties.

    The exchange and the routing key are those that the message was first published with, also after a retry; a key
    that is not UTF-8 is bytes. `attempts` is how often its event has failed.
    """

    exchange: str | bytes
    routing_key: str | bytes
    properties: Any
    body: bytes
    attempts: int = 0


class MqttMessage(NamedTuple):
    """One message of an MQTT session; `received` is in seconds since the epoch."""

    topic: str
    payload: bytes
    packet_id: int
    headers: dict[str, Any]
    content_type: str
    received: float


class PooledMessage(NamedTuple):
    """A message that came from one of several triggers, by its number, that share their workers."""

    trigger: int
    message: Any


def unwrap(message: Any) -> Any:
    """Return a message without the number of its trigger."""
    return message.message if isinstance(message, PooledMessage) else message


class CronMessage(NamedTuple):
    """What a cron trigger says each time."""

    body: bytes
    headers: dict[str, str]
    path: str
    method: str
