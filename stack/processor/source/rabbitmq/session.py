"""One channel's life: everything declared, messages consumed, outcomes sent.

A quorum queue that is started again learns a little late that its consumers are gone, and gives their messages to
others only then. A consumer that comes sooner gets the messages behind those first, so a patient one waits for that.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from stack.processor.delivery import Failure, Intake
from stack.processor.in_flight import InFlight, fingerprint_message
from stack.processor.message import AmqpMessage
from stack.processor.source.rabbitmq.delivery import AmqpDelivery
from stack.processor.source.rabbitmq.flow import Acknowledgements, Prefetch
from stack.processor.source.rabbitmq.publisher import PublishRequest, RetryPublisher
from stack.processor.source.rabbitmq.topology import (
    Policy,
    RetryMessage,
    RetryPlan,
    Topology,
    build_retry,
    declare,
    is_last,
    restore_origin,
)
from stack.processor.stats import Count

# Seconds between two looks at the queue; how many looks there are at least, since a queue that has only begun to start
# says that it has no consumers, and at most, since others may consume it as well.
_LOOK, _FEWEST, _MOST = 0.25, 3, 9


def await_return(channel: Any, queue: str, done: Callable[[], None], looks: int = 1) -> None:
    """Call `done` when a queue has no consumers any more, after 0.5 to 2 seconds; never if the channel closes."""

    def decide(frame: Any) -> None:
        if looks >= _MOST or (looks >= _FEWEST and not frame.method.consumer_count):
            done()
        else:
            channel.connection.ioloop.call_later(_LOOK, look_again)

    def look_again() -> None:
        await_return(channel, queue, done, looks + 1)

    if channel.is_open:
        channel.queue_declare(queue, passive=True, callback=decide)


# Messages that are remembered for having taken long.
_MOST_OVERDUE = 64
# Seconds after which messages whose copies the broker does not take make place for others, and how many may.
_RELIEF, _MOST_HELD = 1.0, 1000
# The broker takes a channel away whose consumer keeps a message for longer than this, in milliseconds. Its own limit
# of 30 minutes would end a handler that takes an hour.
_CONSUMER_ARGUMENTS = {"x-consumer-timeout": 7 * 24 * 3600 * 1000}


@dataclass(frozen=True)
class SessionPlan:
    """What a session goes by; the same for each session of a source."""

    topology: Topology
    policy: Policy
    retry_plan: RetryPlan
    publisher: RetryPublisher
    prefetch: Prefetch
    in_flight: InFlight
    heartbeat: float
    """Seconds after which, unless the handler lets the I/O thread run, the broker may close the connection."""
    count: Callable[[Count], None]
    """Counts what became of an event."""
    settle_copies: Callable[[float], None] = lambda _seconds: None
    """Waits so many seconds at most, on the handler's thread, until no copy of a failed message is on its way."""
    is_ordered: bool = True
    """Whether messages are settled in the order in which they were delivered."""
    overdue: dict[int, str] = field(default_factory=dict)
    """Why messages failed whose outcome could not be told, by their fingerprints."""


class Session:
    """Consumes on one channel; all methods run on the I/O thread."""

    def __init__(self, channel: Any, plan: SessionPlan, intake: Intake) -> None:
        self.is_current = False
        self.has_acknowledged = False
        """Whether the broker was told of a message that it is handled: the connection was of use."""
        self._is_stopped = False
        self.outcomes: deque[tuple[AmqpDelivery, Failure | None]] = deque()
        self._channel = channel
        self.prefetch = plan.prefetch
        self.in_flight = plan.in_flight
        self.settle_copies = plan.settle_copies
        self._plan = plan
        self._put = intake.put
        self._acknowledgements = Acknowledgements(is_ordered=plan.is_ordered)
        self._consumer, self._is_full, self._bytes = "", False, 0
        # Of the consumer that there is: its limit, its unsettled messages, the last tag before its first, and
        # how many of its messages wait until their copies are confirmed.
        self._limit, self._ahead, self._before, self._held = 0, 0, 0, 0
        self._last_tag = 0
        self._call_later = channel.connection.ioloop.call_later

    @property
    def is_settled(self) -> bool:
        """Return whether every outcome is sent, and every copy confirmed."""
        return not self.outcomes and (self._acknowledgements.is_free or not self._channel.is_open)

    @property
    def has_copies(self) -> bool:
        """Return whether originals of copies are to be acknowledged still, which else the broker delivers again."""
        try:
            # Each event asks for it; of those before the last it was asked then.
            has_failed = self.outcomes[-1][1] is not None
        except IndexError:
            has_failed = False
        return bool((has_failed or not self._acknowledgements.is_free) and self._channel.is_open)

    def open(self, *, is_missing: bool, is_patient: bool, done: Callable[[], None]) -> None:
        """Declare all and begin to consume, then call `done`.

        Who `is_patient` lets the queue take back first what lost connections had, and so keeps the order.
        """
        topology = self._plan.topology
        consume = partial(self._consume, lambda _frame: done())
        if is_patient:
            consume = partial(await_return, self._channel, topology.queue, consume)
        declare(self._channel, topology, is_missing=is_missing, done=consume)

    def note_late(self, message: AmqpMessage, seconds: float) -> None:
        """Note that a message took longer than the connection can do without the I/O thread.

        If it comes again, the handler has kept the connection from living, by keeping Python's lock to itself, so that
        its outcome could not be told. It would do so each time; so the message has failed.
        """
        if seconds > self._plan.heartbeat:
            while len(self._plan.overdue) >= _MOST_OVERDUE:
                del self._plan.overdue[next(iter(self._plan.overdue))]
            fingerprint = fingerprint_message(message.routing_key, message.body)
            self._plan.overdue[fingerprint] = (
                f"the connection to the broker was lost while the handler ran, for {seconds:.0f} s"
            )

    def take_overdue(self, fingerprint: int) -> str:
        """Return why a message failed whose outcome could not be told; nothing if there is no such."""
        return self._plan.overdue.pop(fingerprint, "")

    def flush(self) -> None:
        """Send the outcomes that the worker told."""
        if self._consumer and self.is_current and self._ahead >= self._limit and self.prefetch.revise():
            self._consume_again()
        outcomes = self.outcomes
        done: list[int] = []
        while outcomes:
            delivery, failure = outcomes.popleft()
            self._bytes -= len(delivery.message.body)
            self._ahead -= delivery.tag > self._before
            if failure is None:
                done.append(delivery.tag)
            else:
                self._acknowledge(done)
                done.clear()
                self._fail(delivery, failure)
        self._acknowledge(done)
        self._resume()

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
            self._limit, self._ahead, self._before, self._held = self.prefetch.count, 0, self._last_tag, 0
            self._consumer = self._channel.basic_consume(
                self._plan.topology.queue, self._on_message, arguments=_CONSUMER_ARGUMENTS, callback=done
            )

        self._channel.basic_qos(prefetch_count=self.prefetch.count, callback=consume)

    def _consume_again(self) -> None:
        """Consume with another limit, before what is done is acknowledged.

        The old consumer has all that it may have, and so nothing is under way to it. Such messages would be given back
        one by one, and a quorum queue may deliver later ones before it has taken them.
        """

        def consume(_frame: object) -> None:
            if self.is_current:
                self._consume(lambda _frame: None)

        tag, self._consumer = self._consumer, ""
        self._channel.basic_cancel(tag, callback=consume)

    def _relieve(self) -> None:
        """Consume with another consumer where all that this one may have waits for the broker to take copies.

        One that is short of memory or disk takes none, and would deliver nothing more until then.
        """
        is_stuck = self._held >= self._limit and self._acknowledgements.count < _MOST_HELD
        if is_stuck and self._consumer and self.is_current:
            self._consume_again()

    def _on_message(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        message = AmqpMessage(method.exchange, method.routing_key, properties, body)
        if properties.headers:
            message = restore_origin(message, self._plan.retry_plan)
        self._bytes += len(body)
        self._ahead, self._last_tag = self._ahead + 1, method.delivery_tag
        self._put(AmqpDelivery(self, method.delivery_tag, message, is_again=method.redelivered))
        if self._bytes > self.prefetch.most_bytes and self._consumer:
            self._pause(len(body))

    def _pause(self, size: int) -> None:
        """Take no more until there is room: the broker limits the number of messages ahead, and not their bytes.

        What is under way already goes back to its place in the queue.
        """
        self._is_full = True
        self.prefetch.lower(size)
        tag, self._consumer = self._consumer, ""
        self._channel.basic_cancel(tag, callback=lambda _frame: None)

    def _resume(self) -> None:
        """Take messages again if there is room."""
        if self._is_full and self.is_current and self._bytes <= self.prefetch.most_bytes // 2:
            self._is_full = False
            self._consume(lambda _frame: None)

    def _acknowledge(self, tags: list[int]) -> None:
        if tags and self._channel.is_open:
            for tag, multiple in self._acknowledgements.merge(tags):
                self._channel.basic_ack(tag, multiple)
            self.has_acknowledged = True

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
        delivery.resolve_crash()

    def _send_copy(self, delivery: AmqpDelivery, failure: Failure) -> None:
        plan, message, tag = self._plan, delivery.message, delivery.tag
        self._acknowledgements.hold(tag)
        consumer, size = self._consumer, len(message.body)
        self._held += 1
        self._bytes += size
        self._call_later(_RELIEF, self._relieve)

        def confirmed() -> None:
            plan.count(Count.DEAD_LETTERED if is_last(message, failure, plan.retry_plan) else Count.RETRIED)
            self._acknowledgements.release(tag)
            self._bytes -= size
            self._held -= consumer == self._consumer
            if self._channel.is_open:
                self._channel.basic_ack(tag)
                self.has_acknowledged = True
                delivery.resolve_crash()
                self._resume()

        def make(is_bare: bool) -> RetryMessage:
            return build_retry(message, failure, plan.retry_plan, is_bare=is_bare)

        plan.publisher.publish(PublishRequest(make, confirmed, lambda: bool(self._channel.is_open)))
