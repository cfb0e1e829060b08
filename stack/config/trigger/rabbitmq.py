"""Messages of an AMQP queue."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stack.config.document import Ignored
from stack.config.problem import Problem, refuse
from stack.config.trigger.base import QUORUM, RESERVED, BaseTrigger, QueueType, ShortName, TlsAttributes
from stack.config.value import AmqpAddress, Duration

# RabbitMQ's own exchanges that are topic exchanges; the second begins the names of its plugins'.
_TOPIC_EXCHANGES = ("amq.topic", "amq.rabbitmq.")


def check_declared(queue: str, exchange: str) -> Iterator[Problem]:
    """Find what RabbitMQ lets no one declare; what is only consumed may have any name."""
    if queue.startswith(RESERVED):
        yield Problem(("queueName",), f"should not begin with amq., which is for queues that RabbitMQ names: {queue!r}")
    if exchange.startswith(RESERVED) and not exchange.startswith(_TOPIC_EXCHANGES):
        text = "should not begin with amq., which is for RabbitMQ's own exchanges; of those amq.topic has topics"
        yield Problem(("exchangeName",), text)


class RabbitAttributes(TlsAttributes):
    """Attributes of a rabbit-mq trigger; the topics are routing keys of a topic exchange.

    Without `onError` and `requeueOnError` a failed message is tried again and kept in the end; with them it is treated
    as newer Nuclio does.
    """

    exchange_name: ShortName = ""
    """The topic exchange that the queue is bound to."""
    queue_name: ShortName = ""
    """The queue that is consumed; where left out, one of the function's own."""
    topics: list[ShortName] = []
    """Routing keys that bring messages from the exchange; wildcards * and # are allowed."""
    reconnect_duration: Annotated[Duration, Ignored("has no effect: a connection is tried again for ever")] = "5m"
    reconnect_interval: Duration = "15s"
    """The longest pause between two attempts to reach the broker."""
    prefetch_count: int = Field(0, ge=0, le=65535)
    """How many messages a worker holds unacknowledged; 0 follows from how long its handler takes."""
    durable_exchange: bool = False
    """Keep the exchange when the broker restarts."""
    durable_queue: bool = True
    """Keep the queue and its messages when the broker restarts."""
    queue_type: QueueType = ""
    """quorum or classic; where left out, a durable queue of the stack's own broker is a quorum queue."""
    on_error: Literal["", "retry", "ack", "nack"] = ""
    """What becomes of a failed message: retry tries it again, ack drops it, nack refuses it, so that RabbitMQ drops it
    or hands it to the queue's dead-letter exchange; retry where this and requeueOnError are left out."""
    requeue_on_error: bool | None = None
    """Put a refused message back into its queue; true without onError means nack."""
    max_retries: int = Field(3, ge=0)
    """How often a failed message is tried again before it is kept as a dead letter."""

    @model_validator(mode="after")
    def _bindable(self) -> "RabbitAttributes":
        if self.topics and not self.exchange_name:
            raise ValueError("topics need an exchangeName to be bound to")
        refuse(self, check_declared(self.queue_name, self.exchange_name) if self.topics else ())
        if self.queue_type == QUORUM and not self.durable_queue:
            raise ValueError("a quorum queue is durable: leave out durableQueue: false or queueType: quorum")
        return self


class RabbitTrigger(BaseTrigger):
    """A queue of an AMQP broker."""

    kind: Literal["rabbit-mq", "rabbitMq", "rabbitmq"]
    url: AmqpAddress = ""
    """The broker's address; empty is the stack's own broker."""
    username: str = ""
    """The account at the broker; wins over the URL's."""
    password: str = ""
    """Its password; better a `secret`."""
    secret: str = ""
    """A secret, as NAME.KEY, that holds the broker's address with its account; wins over url."""
    attributes: RabbitAttributes = RabbitAttributes.model_construct()


MODEL = RabbitTrigger
