"""A dispatcher: has the source that there can be only one of, and hands each message to a worker that is free."""

import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, cast

from stack.processor.batch import gather
from stack.processor.configuration import Function
from stack.processor.delivery import Delivery, DeliveryQueue, Failure
from stack.processor.response import TIMED_OUT, Response, refuse
from stack.processor.source.opener import open_source
from stack.processor.stats import WorkerStats
from stack.processor.status import SourceReport, StatusWriter
from stack.processor.stream import LOOK_AGAIN, StreamedDelivery
from stack.processor.threads import StopSignal, start_thread
from stack.processor.wire import GONE, UNREAD, Outcome, Wire, is_own, pack_delivery, unpack_outcome, unpack_response
from stack.processor.worker_spec import WorkerSpec


class Allocation(NamedTuple):
    """A delivery for which a worker is free, and how long it waited for it."""

    delivery: Delivery
    seconds: float
    waited: bool


class WorkerAllocator:
    """The queue of a dispatcher, where one thread for each worker takes; it counts who waited, and how long."""

    def __init__(self, stats: WorkerStats) -> None:
        self._stats = stats
        self._queue = DeliveryQueue()
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self._busy = 0
        self.is_served = False
        """Whether there was a worker yet to take."""

    def put(self, delivery: Delivery) -> None:
        """Hand over one delivery."""
        self._times.append(monotonic())
        self._queue.put(delivery)

    def close(self) -> None:
        """Let each thread get None after all else."""
        self._queue.close()

    def take(self, timeout: float | None = None) -> Allocation | None:
        """Take the next delivery; None after the last, which is then for the next thread to take.

        Raises:
            queue.Empty: none came within that many seconds.
        """
        waited = not self._queue.is_empty()
        delivery = self._queue.get(timeout=timeout)
        if delivery is None:
            self._queue.close()
            return None
        # Of two that are taken at once the times may be mixed up; their sum is right.
        return Allocation(delivery, monotonic() - self._times.popleft(), waited)

    def begin(self, allocation: Allocation, workers: int) -> None:
        """Note that one of several workers gets what was taken."""
        with self._lock:
            free = max(0.0, 1.0 - self._busy / max(1, workers))
            self._busy += 1
            self._stats.count_allocation(allocation.seconds, waited=allocation.waited, free=free)

    def end(self) -> None:
        """Note that a worker is done."""
        with self._lock:
            self._busy -= 1


_ENDED = "the worker ended while it handled this event"


class UnreadError(Exception):
    """The dispatched worker goes without having begun what was sent to it, so that another may be given it."""


class ClaimedDelivery:
    """A delivery on its way to another dispatched worker; it was claimed for the one before."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def claim(self) -> bool:
        """Return that it is to be handled."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delivery, name)


def dispatch(wire: Wire, deliveries: Sequence[Delivery], limit: float) -> bool:
    """Send messages, wait for their outcome and pass it on; return whether the dispatched worker lives.

    One that has gone after `limit` seconds, unless that is zero, was killed for taking too long.

    Raises:
        UnreadError: the dispatched worker goes, and the messages have no outcome yet.
    """
    began = time.monotonic()
    frame = _send(wire, deliveries)
    if (frame is None and wire.is_unread) or (frame and frame[0] == UNREAD):
        raise UnreadError
    if frame and frame[0] == "begin":
        return _relay(wire, deliveries[0], unpack_response(frame[1]))
    if frame:
        outcomes = [unpack_outcome(outcome) for outcome in frame[1]]
    else:
        outcomes = [_explain_loss(limit, time.monotonic() - began)] * len(deliveries)
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        _settle(delivery, *outcome)
    return frame is not None


def _send(wire: Wire, deliveries: Sequence[Delivery]) -> Any:
    """Send the messages and return the first frame that comes back; None if the dispatched worker is gone."""
    try:
        wire.send([pack_delivery(delivery) for delivery in deliveries])
    except OSError:
        wire.is_unread = True
        return None
    return wire.receive()


def _explain_loss(limit: float, seconds: float) -> Outcome:
    if limit and seconds >= limit:
        return TIMED_OUT, Failure(f"the handler timed out: it took longer than {limit:g} s", "")
    return refuse(500, _ENDED), Failure(_ENDED, "")


def _settle(delivery: Delivery, response: Response, failure: Failure | None) -> None:
    if failure:
        delivery.failed(response, failure)
    else:
        delivery.done(response)


def _relay(wire: Wire, delivery: Delivery, response: Response) -> bool:
    """Pass a stream on as it comes; return whether the dispatched worker lives."""
    if not isinstance(delivery, StreamedDelivery):
        return _collect(wire, delivery, response)
    delivery.begin(response)
    is_told = False
    while frame := wire.receive():
        if frame[0] == "end":
            delivery.end(Failure(*frame[1]) if frame[1] else None)
            return True
        while delivery.is_full and not delivery.is_gone:
            time.sleep(LOOK_AGAIN)
        if not delivery.is_gone:
            delivery.send(frame[1])
        elif not is_told:
            is_told = _send_gone(wire)
    delivery.end(Failure(_ENDED, ""))
    return False


def _collect(wire: Wire, delivery: Delivery, response: Response) -> bool:
    """Pass a stream on as one response."""
    pieces = [response.body]
    while (frame := wire.receive()) and frame[0] == "piece":
        pieces.append(frame[1])
    failure = Failure(_ENDED, "") if not frame else Failure(*frame[1]) if frame[1] else None
    _settle(delivery, response._replace(body=b"".join(pieces)), failure)
    return bool(frame)


def _send_gone(wire: Wire) -> bool:
    """Tell the dispatched worker that no one waits for its stream."""
    try:
        wire.send(GONE)
    except OSError:
        # It is gone itself.
        return True
    return True


# Seconds that the source may take to send the last outcomes.
_CLOSE_AFTER = 5.0


class Dispatcher:
    """Hands what a source brings to whichever dispatched worker is free.

    Each dispatched worker has a thread here. All of them wait at one queue, so that a message is always for one that is
    free.
    """

    def __init__(self, spec: WorkerSpec, function: Function, status: StatusWriter) -> None:
        assert spec.listener is not None
        self._listener: socket.socket = spec.listener
        self._allocator = WorkerAllocator(spec.stats)
        self._source = open_source(spec, function, self._allocator, SourceReport(status.send, spec.stats))
        self._threads: list[threading.Thread] = []
        self._batch = spec.trigger.batch
        self._limit = function.event_timeout
        # Where there are batches, those who are free gather one after the other, so that the first is full first.
        self._gathering: AbstractContextManager[object] = threading.Lock() if self._batch else nullcontext()

    def run(self, stop: StopSignal) -> int:
        """Dispatch until told to stop, and until every outcome is back; return the exit status."""
        start_thread("listener", self._accept)
        self._source.start()
        stop.attach(self._source)
        stop.wait()
        for thread in list(self._threads):
            thread.join()
        self._source.close(_CLOSE_AFTER)
        return 0

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if not is_own(connection):
                connection.close()
                continue
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(start_thread("dispatch", partial(self._dispatch, Wire(connection))))
            self._allocator.is_served = True

    def _dispatch(self, wire: Wire) -> None:
        """Serve one dispatched worker until it is gone or there is nothing more to hand out."""
        is_alive = True
        while is_alive:
            with self._gathering:
                allocation = self._allocator.take()
                if allocation is None:
                    break
                if wire.is_cut():
                    self._allocator.put(allocation.delivery)
                    break
                deliveries = self._claim(allocation.delivery)
            is_alive = not deliveries or self._dispatch_one(wire, allocation, deliveries)
        wire.close()

    def _claim(self, first: Delivery) -> list[Delivery]:
        """Return what is sent at once: one delivery, unless the trigger batches; none if no client waits any more."""
        claimed = [first] if not self._batch and first.claim() else []
        deliveries = gather(first, self._take_more, self._batch) if self._batch else claimed
        for delivery in deliveries:
            delivery.hold()
        return deliveries

    def _take_more(self, timeout: float) -> Delivery | None:
        allocation = self._allocator.take(timeout)
        return allocation.delivery if allocation else None

    def _dispatch_one(self, wire: Wire, allocation: Allocation, deliveries: list[Delivery]) -> bool:
        """Send messages and pass on their outcome; return whether the dispatched worker lives."""
        self._allocator.begin(allocation, len(self._threads))
        try:
            return dispatch(wire, deliveries, self._limit)
        except UnreadError:
            for delivery in deliveries:
                self._allocator.put(cast(Delivery, ClaimedDelivery(delivery)))
            # It would connect again, as to a dispatcher that was replaced.
            wire.await_end()
            return False
        finally:
            self._allocator.end()
            self._source.flush()
