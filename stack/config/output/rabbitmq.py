"""An exchange, or a queue, of the stack's own broker."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from stack.config.output.base import BaseOutput, check_placeholders
from stack.config.problem import Problem, refuse
from stack.config.trigger.base import QUORUM, QueueName, QueueType, ShortName
from stack.contract import list_placeholders


class RabbitOutput(BaseOutput):
    """An exchange with a routing key, or a queue."""

    kind: Literal["rabbit-mq", "rabbitMq", "rabbitmq"]
    exchange: ShortName = ""
    """The topic exchange that messages are published to; it is declared if it is not there."""
    routing_key: Annotated[ShortName, AfterValidator(check_placeholders)] = ""
    """The routing key, where `send` names none; {names} in it are filled in from keywords of `send`."""
    queue: QueueName = ""
    """The queue that messages are put into; it is declared if it is not there."""
    durable: bool | None = None
    """Keep it when the broker restarts; where left out, a queue is kept and an exchange is not, as with triggers."""
    queue_type: QueueType = ""
    """quorum or classic; where left out, a durable queue is a quorum queue."""

    @property
    def is_durable(self) -> bool:
        """Return whether the broker keeps it."""
        return bool(self.queue) if self.durable is None else self.durable

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return those of the routing key."""
        return list_placeholders(self.routing_key)

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        refuse(self, self._find_problems())
        return self

    def _find_problems(self) -> Iterator[Problem]:
        if self.exchange and self.queue:
            yield Problem(("queue",), "an output has an exchange or a queue, not both: make two outputs")
        if not self.exchange and not self.queue:
            yield Problem((), "needs an exchange, with a routingKey, or a queue")
        if self.queue and self.routing_key:
            yield Problem(("routingKey",), "is for an exchange; a queue has none")
        if self.queue_type and not self.queue:
            yield Problem(("queueType",), "is for a queue")
        if self.queue_type == QUORUM and self.durable is False:
            yield Problem(("queueType",), "a quorum queue is durable: leave out durable: false or queueType: quorum")


MODEL = RabbitOutput
