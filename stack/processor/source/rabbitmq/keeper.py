"""The failed messages of another source, kept on the stack's own broker."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from stack.processor.attributes import Attributes
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.hand import Hand
from stack.processor.loop import ThreadRunner
from stack.processor.message import AmqpMessage
from stack.processor.meter import Count
from stack.processor.source.rabbitmq.retry import Copy, copy_message
from stack.processor.source.rabbitmq.source import RabbitSource
from stack.processor.status import State

Confirmed = Callable[[], None]


class Keeper(RabbitSource):
    """Takes failed messages, and hands them over again when their delay is over, until they are dead letters.

    It has a queue of its own, into which the queues of retries give their messages back, and treats what fails again
    as any queue's messages.
    """

    def __init__(self, trigger: Trigger, function: Function, intake: Intake, report: Report, *, hand: Hand) -> None:
        super().__init__(
            _plan_queue(trigger, function), function, intake, _Quiet(report), hand=hand, runner=ThreadRunner()
        )
        self._kept: dict[int, tuple[Copy, Confirmed]] = {}
        self._numbers = count()
        self._is_open = False
        self._count = report.count

    def keep(self, message: AmqpMessage, failure: Failure, confirmed: Confirmed) -> None:
        """Keep a failed message, and call `confirmed`, on the I/O thread, when the broker has it; from any thread."""
        queue = self.topology.queue
        copy = copy_message(message, failure, queue=queue, retries=self.policy.retries, function=self.function)
        self._loop.call_soon_threadsafe(partial(self._keep, copy, confirmed))

    def _keep(self, copy: Copy, confirmed: Confirmed) -> None:
        number = next(self._numbers)
        self._kept[number] = (copy, confirmed)
        if self._is_open:
            self._publish(number)

    def _publish(self, number: int) -> None:
        copy, confirmed = self._kept[number]

        def settle() -> None:
            if self._kept.pop(number, None):
                self._count(Count.RETRIED if copy.delay else Count.DEAD_LETTERED)
                confirmed()

        assert self._session
        self._session.publish(copy, settle)

    def _on_consuming(self) -> None:
        super()._on_consuming()
        self._is_open = True
        for number in list(self._kept):
            self._publish(number)

    def _on_lost(self, connection: Any, error: BaseException) -> None:
        self._is_open = False
        super()._on_lost(connection, error)

    def _is_settled(self) -> bool:
        return super()._is_settled() and not (self._is_open and self._kept)


class _Quiet:
    """Passes on what is counted and not how the stack's broker is, without which the other source goes on."""

    def __init__(self, report: Report) -> None:
        self.count = report.count

    def __call__(self, state: State, reason: str) -> None:
        """Say nothing."""


def _plan_queue(trigger: Trigger, function: Function) -> Trigger:
    """Return a trigger with a queue on the stack's broker, to which nothing is bound."""
    attributes = trigger.attributes
    queue = attributes.text("queueName") or f"nuclio-{function.namespace}-{function.name}-{trigger.name}"
    retries, queue_type = attributes.integer("maxRetries", 3), attributes.text("queueType")
    values = {"queueName": queue, "maxRetries": retries, "queueType": queue_type}
    own = Attributes(attributes.path, values)
    return replace(trigger, kind="rabbit-mq", url=function.broker_url, username="", password="", attributes=own)
