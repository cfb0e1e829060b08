"""A dispatcher: has the source that there can be only one of, and hands each message to a worker that is free."""

import socket
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import cast

from stack.processor.allotment import Allocation, WorkerAllocator
from stack.processor.batch import gather
from stack.processor.configuration import Function
from stack.processor.delivery import Delivery
from stack.processor.lending import ClaimedDelivery, UnreadError, dispatch
from stack.processor.post import WorkerSpec
from stack.processor.report import SourceReport
from stack.processor.source.catalogue import open_source
from stack.processor.status import StatusWriter
from stack.processor.stop import StopSignal
from stack.processor.thread import start_thread
from stack.processor.wire import Wire, is_own

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
        if self._batch:
            return gather(first, self._take_more, self._batch)
        return [first] if first.claim() else []

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
            return False
        finally:
            self._allocator.end()
            self._source.flush()
