"""One channel's life: everything declared, messages consumed, outcomes sent."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from stack.processor.delivery import Failure, Intake
from stack.processor.hand import Hand, mark_message
from stack.processor.message import AmqpMessage
from stack.processor.meter import Count
from stack.processor.response import Response
from stack.processor.source.rabbitmq.acknowledgement import Acknowledgements
from stack.processor.source.rabbitmq.prefetch import Prefetch
from stack.processor.source.rabbitmq.publisher import CopyPublisher
from stack.processor.source.rabbitmq.retry import Copy, Policy, copy_message, restore_origin
from stack.processor.source.rabbitmq.topology import Topology, declare

# The broker takes a channel away whose consumer keeps a message for longer than this, in milliseconds. Its own limit
# of 30 minutes would end a handler that takes an hour.
_CONSUMER_ARGUMENTS = {"x-consumer-timeout": 7 * 24 * 3600 * 1000}


class Plan(Protocol):
    """What a session needs to know; the same for each session of a source."""

    topology: Topology
    copies_type: str
    policy: Policy
    prefetch: Prefetch
    hand: Hand
    function: str

    def count(self, what: Count) -> None:
        """Count what became of an event."""


class AmqpDelivery:
    """One message on its way through a worker."""

    __slots__ = ("_is_again", "_session", "blamed_mark", "message", "pool_index", "tag")

    def __init__(self, session: "Session", tag: int, message: AmqpMessage, *, is_again: bool) -> None:
        self._session = session
        self._is_again = is_again
        self.tag = tag
        self.message = message
        self.blamed_mark = 0
        """The mark of a message of which a worker died."""

    def claim(self) -> bool:
        """Tell whether it is to be handled.

        It is not when its channel has ended, since the broker delivers it again, nor when a worker died of it.
        """
        session = self._session
        if not session.is_current:
            return False
        mark = mark_message(self.message.routing_key, self.message.body)
        if self._is_again and (reason := session.hand.take_blame(mark)):
            self.blamed_mark = mark
            session.outcomes.append((self, Failure(reason, "")))
            return False
        session.hand.hold(mark)
        session.prefetch.begin()
        return True

    def settle_blame(self) -> None:
        """Note that nothing more is to be done about the worker that died of it."""
        if self.blamed_mark:
            self._session.hand.settle_blame(self.blamed_mark)

    def done(self, response: Response) -> None:
        """Have the message acknowledged."""
        self._settle(None)

    def failed(self, response: Response, failure: Failure) -> None:
        """Have the message tried again, or kept as a dead letter."""
        self._settle(failure)

    def _settle(self, failure: Failure | None) -> None:
        session = self._session
        session.hand.release()
        session.prefetch.end(len(self.message.body))
        session.outcomes.append((self, failure))


class Session:
    """Consumes on one channel; all methods run on the I/O thread."""

    def __init__(self, channel: Any, plan: Plan, intake: Intake) -> None:
        self.is_current = False
        self._is_stopped = False
        self.outcomes: deque[tuple[AmqpDelivery, Failure | None]] = deque()
        self._channel = channel
        self.prefetch = plan.prefetch
        self.hand = plan.hand
        self._plan = plan
        self._put = intake.put
        self._acknowledgements = Acknowledgements()
        self._consumer = ""
        ioloop = channel.connection.ioloop
        self._publisher = CopyPublisher(channel, ioloop.call_later, plan.copies_type)

    @property
    def is_settled(self) -> bool:
        """Tell whether every outcome is sent, and every copy confirmed."""
        return not self.outcomes and (self._acknowledgements.is_free or not self._channel.is_open)

    def open(self, *, is_missing: bool, done: Callable[[], None]) -> None:
        """Declare all and begin to consume, then call `done`."""
        consume = partial(self._consume, lambda _frame: done())
        self._publisher.open(
            lambda _frame: declare(self._channel, self._plan.topology, is_missing=is_missing, done=consume)
        )

    def flush(self) -> None:
        """Send the outcomes that the worker told."""
        outcomes = self.outcomes
        done: list[int] = []
        while outcomes:
            delivery, failure = outcomes.popleft()
            if failure is None:
                done.append(delivery.tag)
            else:
                self._acknowledge(done)
                done.clear()
                self._fail(delivery, failure)
        self._acknowledge(done)
        if self._consumer and self.is_current and self.prefetch.revise():
            self._consume_anew()

    def publish(self, copy: Copy, confirmed: Callable[[], None]) -> None:
        """Publish a copy of what another source brought, and call `confirmed` when the broker keeps it."""
        self._publisher.publish(copy, confirmed)

    def stop(self, done: Callable[[], None]) -> None:
        """Let the broker deliver nothing more, then call `done`; what is not begun goes back to the queue."""
        self.is_current = False
        self._is_stopped = True
        if self._consumer and self._channel.is_open:
            self._channel.basic_cancel(self._consumer, callback=lambda _frame: done())
        else:
            done()

    def _consume(self, done: Callable[[object], None]) -> None:
        """Begin to consume; the limit on messages ahead holds for consumers that begin after it was set."""

        def consume(_frame: object) -> None:
            if self._is_stopped:
                return
            self.is_current = True
            self._consumer = self._channel.basic_consume(
                self._plan.topology.queue, self._on_message, arguments=_CONSUMER_ARGUMENTS, callback=done
            )

        self._channel.basic_qos(prefetch_count=self.prefetch.count, callback=consume)

    def _consume_anew(self) -> None:
        """Consume with another limit.

        The old consumer is cancelled first: messages then under way go back to their place in the queue before any
        later one is delivered, so their order stays.
        """

        def consume(_frame: object) -> None:
            if self.is_current:
                self._consume(lambda _frame: None)

        tag, self._consumer = self._consumer, ""
        self._channel.basic_cancel(tag, callback=consume)

    def _on_message(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        message = restore_origin(method.exchange, method.routing_key, properties, body)
        self._put(AmqpDelivery(self, method.delivery_tag, message, is_again=method.redelivered))

    def _acknowledge(self, tags: list[int]) -> None:
        if self._channel.is_open:
            for tag, multiple in self._acknowledgements.merge(tags):
                self._channel.basic_ack(tag, multiple)

    def _fail(self, delivery: AmqpDelivery, failure: Failure) -> None:
        policy = self._plan.policy
        if not self._channel.is_open:
            return
        if policy.action == "ack":
            self._acknowledge([delivery.tag])
        elif policy.action == "nack":
            self._channel.basic_reject(delivery.tag, requeue=policy.requeue)
        else:
            self._send_copy(delivery, failure)
            return
        delivery.settle_blame()

    def _send_copy(self, delivery: AmqpDelivery, failure: Failure) -> None:
        tag = delivery.tag
        self._acknowledgements.hold(tag)

        def confirmed() -> None:
            plan.count(Count.RETRIED if copy.delay else Count.DEAD_LETTERED)
            self._acknowledgements.release(tag)
            if self._channel.is_open:
                self._channel.basic_ack(tag)
                delivery.settle_blame()

        plan = self._plan
        copy = copy_message(
            delivery.message,
            failure,
            queue=plan.topology.queue,
            retries=plan.policy.retries,
            function=plan.function,
        )
        self._publisher.publish(copy, confirmed)
