"""Messages of an AMQP queue."""

from collections.abc import Mapping

from stack.config.trigger.base import QUORUM
from stack.config.trigger.rabbitmq import RabbitTrigger
from stack.contract import name_queue
from stack.plan.broker import AMQP_URL, Bound
from stack.plan.trigger.broker import BrokerKind
from stack.plan.trigger.kind import Named, Scaffold


class RabbitKind(BrokerKind[RabbitTrigger]):
    """A rabbit-mq trigger."""

    scaffold = Scaffold("amqp", "AMQP queue", "invoke client --protocol amqp --count 5")
    stack_url = AMQP_URL

    def find_queue(self, function: Named, name: str, trigger: RabbitTrigger) -> Bound | None:
        """Return its queue, and the topic exchange that it is bound to, if it is to one."""
        if not self.is_on_stack(trigger):
            return None
        given = trigger.attributes
        return Bound(
            exchange=given.exchange_name,
            is_durable_exchange=given.durable_exchange,
            queue=self.name_queue(function, name, trigger),
            is_durable_queue=given.durable_queue,
            topics=tuple(given.topics),
            queue_type=self.find_queue_type(trigger),
        )

    def keeps_failed(self, trigger: RabbitTrigger) -> bool:
        """Return whether its author leaves failed messages to Tidegate."""
        given = trigger.attributes
        return given.on_error == "retry" or not (given.on_error or given.requeue_on_error)

    def list_names(self, trigger: RabbitTrigger) -> Mapping[str, str]:
        """Return its queue and its exchange."""
        given = trigger.attributes
        on_stack = self.is_on_stack(trigger)
        return {"queueName": given.queue_name, "exchangeName": given.exchange_name} if on_stack else {}

    def name_queue(self, function: Named, name: str, trigger: RabbitTrigger) -> str:
        """Return the queue that it consumes: where none is named, Nuclio's own, one for each function."""
        return trigger.attributes.queue_name or name_queue(function.namespace, function.name)

    def find_queue_type(self, trigger: RabbitTrigger) -> str:
        """Return the type of its queue.

        A broker elsewhere may hold such a queue already, of another type, so it is asked for none unless the author
        does.
        """
        given = trigger.attributes
        return given.queue_type or (QUORUM if given.durable_queue and self.is_on_stack(trigger) else "")


KIND = RabbitKind()
