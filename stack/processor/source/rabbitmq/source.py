"""Messages from an AMQP queue: pika on an I/O thread, connected again for ever."""

from dataclasses import replace
from math import inf
from time import monotonic, sleep
from typing import Any

from pika.exceptions import ChannelClosedByBroker

from stack.processor.configuration import Function
from stack.processor.delivery import Intake, Lost, Report
from stack.processor.loop import LoopRunner, find_runner
from stack.processor.source.broker import Delays, SourceContext
from stack.processor.source.rabbitmq.connection import Connection, explain_error, plan_connection, plan_publishing
from stack.processor.source.rabbitmq.flow import Prefetch
from stack.processor.source.rabbitmq.headers import derive_signature_key
from stack.processor.source.rabbitmq.publisher import RetryPublisher
from stack.processor.source.rabbitmq.session import Session, SessionPlan
from stack.processor.source.rabbitmq.topology import (
    RetryPlan,
    Topology,
    explain_refusal,
    find_other_type,
    plan_topology,
    read_policy,
)
from stack.processor.status import State
from stack.processor.threads import start_thread
from stack.processor.worker_spec import WorkerSpec

_NOT_FOUND, _PRECONDITION_FAILED = 404, 406
# Seconds: the longest delay before the next attempt to connect, unless reconnectInterval says otherwise; and between
# looks at what the broker has still to confirm.
_LONGEST_DELAY, _LOOK_AGAIN = 15.0, 0.01
# Seconds between two looks at whether the broker has taken the copies of failed messages.
_LOOK = 0.001
# Seconds after which a connection that is lost was none of those that each message ends.
_LASTING = 60.0


class RabbitSource:
    """Consumes one queue; everything is declared again on each connection."""

    def __init__(self, context: SourceContext, topology: Topology, runner: LoopRunner | None = None) -> None:
        trigger = context.trigger
        self._context = context
        self._runner = runner or find_runner(context.intake)
        self._loop = self._runner.loop
        self._parameters = plan_connection(trigger, context.function)
        self._delays = Delays(trigger.attributes.seconds("reconnectInterval", _LONGEST_DELAY))
        self.plan = self._plan_sessions(topology)
        # Several workers handle messages in any order anyway, and other queues take back at once.
        self._keeps_order = trigger.workers == 1 and topology.queue_type == "quorum"
        self._connection: Any = None
        self._session: Session | None = None
        self._connected_at = 0.0
        self._is_missing = self._is_refused = self._was_lost = self._is_slow = False
        self._is_stopping = self._is_ending = self._is_waking = False
        self._why = ""

    def _plan_sessions(self, topology: Topology) -> SessionPlan:
        trigger, function, report = self._context.trigger, self._context.function, self._context.report
        policy = read_policy(trigger.attributes)
        key = function.signature_key or derive_signature_key(self._parameters.credentials.password)
        # What all workers of a pool take comes here; of others each has a source of its own.
        takers = trigger.workers if trigger.allocator else 1
        prefetch = trigger.attributes.integer("prefetchCount", 0), trigger.batch.size if trigger.batch else 1
        return SessionPlan(
            topology=topology,
            policy=policy,
            retry_plan=RetryPlan(topology.queue, policy.retries, function.name, key),
            publisher=RetryPublisher(
                plan_publishing(self._parameters), self._loop, topology.queue_type, report=report.note
            ),
            prefetch=Prefetch(*(takers * one for one in prefetch)),
            in_flight=self._context.in_flight,
            heartbeat=float(self._parameters.heartbeat or inf),
            count=report.count,
            settle_copies=self._settle_copies,
            is_ordered=takers == 1,
        )

    def start(self) -> None:
        """Connect."""
        self._thread = start_thread("amqp", self._run)

    def flush(self) -> None:
        """Send the outcomes that were told."""
        session = self._session
        if session and session.outcomes and not self._is_waking and not self._runner.do_now(self._flush, turn=True):
            self._is_waking = True
            self._loop.call_soon_threadsafe(self._flush)

    def _settle_copies(self, seconds: float) -> None:
        """Wait until the broker has the copies of failed messages; for one that takes none no message waits twice."""
        deadline = 0.0 if self._is_slow else monotonic() + seconds
        while (session := self._session) and session.has_copies and monotonic() < deadline:
            self.flush()
            self._runner.do_now(lambda: None, turn=True)
            sleep(_LOOK)
        self._is_slow = bool(session and session.has_copies)

    def stop(self) -> None:
        """Cancel the consumer, then close the intake."""
        self._loop.call_soon_threadsafe(self._stop)

    def close(self, timeout: float) -> None:
        """Send the last outcomes, wait until the broker has them, and end the I/O thread."""
        self._loop.call_soon_threadsafe(self._close)
        self._runner.release()
        self._thread.join(timeout)

    def take_as_it_is(self, queue: str) -> None:
        """Ask for no type any more of one's own queue: it is there, and of another type.

        A classic queue of an older version serves as it is until `up` has moved its messages to a quorum queue.
        """
        topology = self.plan.topology
        if queue == topology.queue:
            self.plan = replace(self.plan, topology=replace(topology, queue_type=""))

    def _run(self) -> None:
        self._connect()
        self._runner.run()
        self._loop.close()

    def _connect(self) -> None:
        if self._is_stopping:
            return
        self._why = ""
        self._connection = Connection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_lost)
        channel.add_on_cancel_callback(
            lambda _frame: self._give_up(f"the queue {self.plan.topology.queue!r} was deleted")
        )
        self._session = session = Session(channel, self.plan, self._context.intake)
        self._connected_at = monotonic()
        is_patient = self._was_lost and self._keeps_order
        session.open(is_missing=self._is_missing, is_patient=is_patient, done=self._on_consuming)

    def _on_consuming(self) -> None:
        self._is_missing = self._is_refused = self._was_lost = self._is_slow = False
        self._context.report(State.READY, "")

    def _on_channel_lost(self, _channel: Any, error: Exception) -> None:
        if isinstance(error, ChannelClosedByBroker):
            self._is_missing = error.reply_code == _NOT_FOUND and not self.plan.topology.keys
            other = find_other_type(error.reply_text)
            self._is_refused = error.reply_code == _PRECONDITION_FAILED and not other
            self.take_as_it_is(other)
            self._give_up(explain_refusal(error.reply_text))

    def _give_up(self, why: str) -> None:
        """Close the connection, and so begin again."""
        self._why = why
        if self._session:
            self._session.is_current = False
        if self._connection.is_open:
            self._connection.close()

    def _on_lost(self, _connection: Any, error: BaseException) -> None:
        if self._session:
            if self._session.has_acknowledged or monotonic() - self._connected_at > _LASTING:
                self._delays.reset()
            self._session.is_current = False
            self._session = None
            self._context.intake.put(Lost())
        if self._is_ending:
            self._runner.stop()
        elif self._is_stopping:
            self._context.intake.close()
        else:
            self._connect_later(error)

    def _connect_later(self, error: BaseException) -> None:
        # The queue was missed on a connection that we have closed ourselves: the next one declares it, at once.
        is_missing = self._is_missing and bool(self._why)
        delay = 0.0 if is_missing else self._delays.next()
        if not is_missing:
            self._was_lost = True
            self._context.report(
                State.REFUSED if self._is_refused and self._why else State.WAITING,
                f"{self._why or explain_error(error, self._context.trigger.url_to_show)}; again in {delay:.1f} s",
            )
        self._loop.call_later(delay, self._connect)

    def _flush(self) -> None:
        self._is_waking = False
        if self._session:
            self._session.flush()

    def _stop(self) -> None:
        self._is_stopping = True
        if self._session:
            self._session.stop(self._context.intake.close)
        else:
            self._context.intake.close()

    def _close(self) -> None:
        """Disconnect as soon as the broker has confirmed every copy of a failed message."""
        self._flush()
        if not self._is_settled():
            self._loop.call_later(_LOOK_AGAIN, self._close)
            return
        self._is_ending = True
        self.plan.publisher.close()
        if self._connection.is_open:
            self._connection.close()
        else:
            self._runner.stop()

    def _is_settled(self) -> bool:
        """Return whether nothing is left to be sent or confirmed on the connections that there are."""
        return (self.plan.publisher.is_settled or not self.plan.publisher.is_connected) and (
            not self._session or self._session.is_settled
        )


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> RabbitSource:
    """Return the source of a process, not started yet."""
    topology = plan_topology(spec.trigger, function)
    return RabbitSource(SourceContext(spec.trigger, function, intake, report, spec.in_flight), topology)
