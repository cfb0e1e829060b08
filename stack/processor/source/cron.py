"""Events when they are due: one at a time, from one of the function's replicas."""

import threading

from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.message import CronMessage
from stack.processor.response import Response
from stack.processor.source.lock import open_lock
from stack.processor.source.schedule import read_schedule
from stack.processor.status import State
from stack.processor.threads import start_thread
from stack.processor.worker_spec import WorkerSpec

# Seconds of the longest wait: a clock that was set, or a machine that slept, is noticed by then.
_LONGEST_WAIT = 30.0
# Seconds by which a clock is set back that was wrong before, so that what was run by it says nothing of what is due, as
# with cron. What is due within fewer is not run twice.
_SET_BACK = 3 * 3600.0


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
        self._lock = open_lock(function, trigger)
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
        """Let another replica be active."""
        if self._lock:
            self._lock.close(timeout)

    def _run(self) -> None:
        if self._lock:
            self._lock.settle()
        self._report(State.READY, "")
        last = self._schedule.now()
        while not self._is_stopping.is_set():
            due = self._wait_for_next(last)
            if due is None:
                return
            is_to_run = self._claim(due)
            last = max(due, self._schedule.now())
            if is_to_run:
                self._fire()

    def _claim(self, due: float) -> bool:
        """Return whether this replica runs what is due; only the moments of a crontab are the same in all of them."""
        moment = due if self._schedule.is_of_clock else None
        return not self._lock or (self._lock.claim(moment) and not self._is_stopping.is_set())

    def _wait_for_next(self, last: float) -> float | None:
        """Wait for the first moment after another, and return it; nothing if the order to stop came before."""
        due = self._schedule.find_next(last)
        while (wait := due - self._schedule.now()) > 0:
            if self._is_stopping.wait(min(wait, _LONGEST_WAIT)):
                return None
            now = self._schedule.now()
            if now < last - _SET_BACK:
                last, due = now, self._schedule.find_next(now)
        return None if self._is_stopping.is_set() else due

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
