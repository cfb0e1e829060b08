"""An exchange, or a queue, of the stack's own broker."""

from collections.abc import Mapping
from typing import Any

from stack.config.output.rabbitmq import RabbitOutput
from stack.config.trigger.base import QUORUM
from stack.plan.broker import Bound
from stack.plan.output.kind import OutputKind


class RabbitKind(OutputKind[RabbitOutput]):
    """A rabbit-mq output."""

    needs_account = True

    def find_declared(self, output: RabbitOutput) -> Bound | None:
        """Return what it declares, with the defaults of a trigger."""
        return Bound(
            exchange=output.exchange,
            is_durable_exchange=output.is_durable,
            queue=output.queue,
            is_durable_queue=output.is_durable,
            topics=(),
            queue_type=self._find_queue_type(output),
        )

    def find_address(self, output: RabbitOutput) -> tuple[str, str]:
        """Return its exchange and routing key."""
        return output.exchange, output.routing_key

    def list_names(self, output: RabbitOutput) -> Mapping[str, str]:
        """Return its exchange, or its queue."""
        return {"queue": output.queue, "exchange": output.exchange}

    def complete(self, output: RabbitOutput, document: dict[str, Any]) -> None:
        """Add how it is declared."""
        document |= {"durable": output.is_durable, "queueType": self._find_queue_type(output)}

    def name_target(self, output: RabbitOutput) -> str:
        """Return the queue, or the exchange and the routing key."""
        return output.queue or f"{output.exchange} {output.routing_key}".rstrip()

    def _find_queue_type(self, output: RabbitOutput) -> str:
        return output.queue_type or (QUORUM if output.queue and output.is_durable else "")


KIND = RabbitKind()
