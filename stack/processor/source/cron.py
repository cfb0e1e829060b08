"""Events when they are due: one at a time, from one of the function's replicas.

The replica on duty is the one that consumes a queue of the stack's broker, where no message comes. The broker lets one
alone consume it, and lets the next one in when the connection ends, however that comes about.
"""

import threading
from typing import Any

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack.contract import name_lock
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.message import CronMessage
from stack.processor.response import Response
from stack.processor.source.broker import Delays
from stack.processor.source.schedule import read_schedule
from stack.processor.status import State
from stack.processor.threads import start_thread
from stack.processor.worker_spec import WorkerSpec

# Seconds between two looks whether someone has the queue.
_AGAIN = 1.0
# Milliseconds: nothing else removes a queue that outlived, with the broker, all who wanted it.
_UNUSED = {"x-expires": 60_000}
# Seconds: a holder whose network is cut is off duty, for the broker, after two of these.
_HEARTBEAT = 5
_LONGEST_DELAY = 15.0
_ACCESS_REFUSED = 403


class Lock:
    """Held by one connection at a time.

    While the broker is away no one can tell who is there: then the one that held it goes on holding it, and one that
    was refused stays off duty; one that has not reached the broker yet takes itself for the only one.
    """

    def __init__(self, url: str, queue: str) -> None:
        self.is_held = True
        self._queue = queue
        self._parameters = URLParameters(url)
        self._parameters.heartbeat = _HEARTBEAT
        self._parameters.client_properties = {"connection_name": queue}
        self._is_settled = threading.Event()
        self._is_stopped = threading.Event()
        self._delays = Delays(_LONGEST_DELAY)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Try to get it, again and again."""
        self._thread = start_thread("lock", self._run)

    def settle(self) -> None:
        """Wait until it is known whether it is held, as far as that can be known."""
        self._is_settled.wait()

    def close(self, timeout: float) -> None:
        """Let go of it."""
        self._is_stopped.set()
        if self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            try:
                with BlockingConnection(self._parameters) as connection:
                    self._delays.reset()
                    self._hold(connection)
            except (AMQPError, OSError):
                self._is_settled.set()
                self._is_stopped.wait(self._delays.next())

    def _hold(self, connection: Any) -> None:
        """Get it as soon as it is free, and keep it while the connection lasts."""
        channel = connection.channel()
        while not self._is_stopped.is_set():
            if not channel.is_open:
                channel = connection.channel()
            self.is_held = bool(channel.consumer_tags) or self._take(channel)
            self._is_settled.set()
            connection.process_data_events(0)
            self._is_stopped.wait(_AGAIN)

    def _take(self, channel: Any) -> bool:
        """Return whether the broker lets this connection have the queue.

        It is asked only when no one is there: each refusal is an error in the broker's log.

        Raises:
            ChannelClosedByBroker: the account may not use the queue, so that no one can tell who is there.
        """
        try:
            found = channel.queue_declare(self._queue, durable=True, auto_delete=True, arguments=_UNUSED)
            if found.method.consumer_count:
                return False
            channel.basic_consume(self._queue, _ignore, auto_ack=True, exclusive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code == _ACCESS_REFUSED:
                raise
            return False
        return True


def _ignore(*_message: object) -> None:
    """Take what someone may send there."""


# Seconds of the longest wait: a clock that was set, or a machine that slept, is noticed by then.
_LONGEST_WAIT = 30.0


class CronDelivery:
    """One run."""

    def __init__(self, message: CronMessage) -> None:
        self.message = message
        self.is_over = threading.Event()

    def claim(self) -> bool:
        """Return that it is to be handled: no one else has it."""
        return True

    def hold(self) -> None:
        """Note nothing: no one delivers it again."""

    def done(self, response: Response) -> None:
        """Note that the run is over."""
        self.is_over.set()

    def failed(self, response: Response, failure: Failure) -> None:
        """Note that the run is over: the next comes by the clock, and the log has the error."""
        self.is_over.set()


class CronSource:
    """Hands over an event whenever one is due.

    However many were due while the last one ran, there is one run for them, at once.
    """

    def __init__(self, trigger: Trigger, function: Function, intake: Intake, report: Report) -> None:
        self._schedule = read_schedule(trigger.attributes)
        self._message = _read_message(trigger)
        name = name_lock(function.namespace, function.name, trigger.name)
        self._lock = Lock(function.broker_url, name) if function.broker_url else None
        self._intake = intake
        self._report = report
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Begin to look at the clock."""
        if self._lock:
            self._lock.start()
        start_thread("cron", self._run)

    def flush(self) -> None:
        """Do nothing: no one waits for the outcome."""

    def stop(self) -> None:
        """Hand over nothing more."""
        self._is_stopping.set()
        self._intake.close()

    def close(self, timeout: float) -> None:
        """Let another replica go on duty."""
        if self._lock:
            self._lock.close(timeout)

    def _run(self) -> None:
        if self._lock:
            self._lock.settle()
        self._report(State.READY, "")
        last = self._schedule.now()
        while not self._is_stopping.is_set():
            due = self._schedule.find_next(last)
            if not self._wait_until(due):
                return
            last = max(due, self._schedule.now())
            if not self._lock or self._lock.is_held:
                self._fire()

    def _wait_until(self, due: float) -> bool:
        """Wait for a moment; return whether it came before the order to stop."""
        while (wait := due - self._schedule.now()) > 0:
            if self._is_stopping.wait(min(wait, _LONGEST_WAIT)):
                return False
        return not self._is_stopping.is_set()

    def _fire(self) -> None:
        delivery = CronDelivery(self._message)
        self._intake.put(delivery)
        delivery.is_over.wait()


def _read_message(trigger: Trigger) -> CronMessage:
    event = trigger.attributes.section("event")
    headers = event.section("headers")
    names = event.raw("headers") or {}
    return CronMessage(
        body=event.text("body").encode(),
        headers={str(name): headers.text(str(name)) for name in names},
        path=event.text("path") or "/",
        method=event.text("method"),
    )


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> CronSource:
    """Return the source of a process, not started yet."""
    return CronSource(spec.trigger, function, intake, report)
