"""Names at a broker, as RabbitMQ takes them."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator

from stack.config.problem import Problem

# Bytes: what the length of a short string of AMQP, and of a text of MQTT, can say.
_SHORT, _LONG = 255, 65_535
_RESERVED = "amq."
# RabbitMQ's own exchanges that are topic exchanges; the second begins the names of its plugins'.
_TOPIC_EXCHANGES = ("amq.topic", "amq.rabbitmq.")


def _check_short(text: str) -> str:
    return _check_length(text, _SHORT)


def _check_topic(text: str) -> str:
    return _check_length(text, _LONG)


def _check_length(text: str, most: int) -> str:
    if (size := len(text.encode())) > most:
        raise ValueError(f"should be at most {most} bytes long, not {size}, which no broker takes")
    return text


def _check_queue(text: str) -> str:
    if text.startswith(_RESERVED):
        raise ValueError(f"should not begin with amq., which is for queues that RabbitMQ names, not {text!r}")
    return text


# Types of queues: a quorum queue keeps on the disk what it has confirmed, whatever ends the broker.
QUORUM, CLASSIC = "quorum", "classic"
QueueType = Literal["", "quorum", "classic"]
ShortName = Annotated[str, AfterValidator(_check_short)]
QueueName = Annotated[ShortName, AfterValidator(_check_queue)]
Topic = Annotated[str, AfterValidator(_check_topic)]


def check_declared(queue: str, exchange: str) -> Iterator[Problem]:
    """Find what RabbitMQ lets nobody declare; what is only consumed may have any name."""
    if queue.startswith(_RESERVED):
        yield Problem(("queueName",), f"should not begin with amq., which is for queues that RabbitMQ names: {queue!r}")
    if exchange.startswith(_RESERVED) and not exchange.startswith(_TOPIC_EXCHANGES):
        text = "should not begin with amq., which is for RabbitMQ's own exchanges; of those amq.topic has topics"
        yield Problem(("exchangeName",), text)


def check_keys(topics: Sequence[str]) -> Iterator[Problem]:
    """Find topic filters that are too long to bind a queue of RabbitMQ."""
    for number, topic in enumerate(topics):
        if len(topic.encode()) > _SHORT:
            text = f"should be at most {_SHORT} bytes long, which is all that the stack's broker takes"
            yield Problem(("attributes", "subscriptions", str(number), "topic"), text)
