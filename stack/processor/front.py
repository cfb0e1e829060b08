"""A front: has the source that there can be only one of, and lends each message to a worker that is free."""

import socket
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import cast

from stack.processor.allotment import Allotment, Waiter
from stack.processor.batch import gather
from stack.processor.configuration import Function
from stack.processor.delivery import Delivery
from stack.processor.lending import ClaimedDelivery, UnreadError, lend
from stack.processor.post import Post
from stack.processor.report import SourceReport
from stack.processor.source.catalogue import open_source
from stack.processor.status import StatusWriter
from stack.processor.stop import Stop
from stack.processor.thread import start_thread
from stack.processor.wire import Wire, is_own

# Seconds that the source may take to send the last outcomes.
_CLOSE_AFTER = 5.0


class Front:
    """Lends what a source hands over to whichever borrower is free.

    Each borrower has a thread here. All of them wait at one queue, so that a message is always for one who is free.
    """

    def __init__(self, post: Post, function: Function, status: StatusWriter) -> None:
        assert post.counter is not None
        self._counter: socket.socket = post.counter
        self._allotment = Allotment(post.meter)
        self._source = open_source(post, function, self._allotment, SourceReport(status.tell, post.meter))
        self._loans: list[threading.Thread] = []
        self._batch = post.trigger.batch
        self._limit = function.event_timeout
        # Where there are batches, those who are free gather one after the other, so that the first is full first.
        self._gathering: AbstractContextManager[object] = threading.Lock() if self._batch else nullcontext()

    def run(self, stop: Stop) -> int:
        """Lend until told to stop, and until all that was lent is back; return the exit status."""
        start_thread("counter", self._accept)
        self._source.start()
        stop.attach(self._source)
        stop.wait()
        for loan in list(self._loans):
            loan.join()
        self._source.close(_CLOSE_AFTER)
        return 0

    def _accept(self) -> None:
        while True:
            connection, _ = self._counter.accept()
            if not is_own(connection):
                connection.close()
                continue
            self._loans = [loan for loan in self._loans if loan.is_alive()]
            self._loans.append(start_thread("loan", partial(self._lend, Wire(connection))))
            self._allotment.is_served = True

    def _lend(self, wire: Wire) -> None:
        """Lend to one borrower until it is gone or there is nothing more to lend."""
        is_alive = True
        while is_alive:
            with self._gathering:
                waiter = self._allotment.take()
                if waiter is None:
                    break
                if wire.is_cut():
                    self._allotment.put(waiter.delivery)
                    break
                deliveries = self._claim(waiter.delivery)
            is_alive = not deliveries or self._lend_one(wire, waiter, deliveries)
        wire.close()

    def _claim(self, first: Delivery) -> list[Delivery]:
        """Return what is lent at once: one delivery, unless the trigger batches; none if nobody waits any more."""
        if self._batch:
            return gather(first, self._take_more, self._batch)
        return [first] if first.claim() else []

    def _take_more(self, timeout: float) -> Delivery | None:
        waiter = self._allotment.take(timeout)
        return waiter.delivery if waiter else None

    def _lend_one(self, wire: Wire, waiter: Waiter, deliveries: list[Delivery]) -> bool:
        """Lend messages and pass on their outcome; tell whether the borrower lives."""
        self._allotment.begin(waiter, len(self._loans))
        try:
            return lend(wire, deliveries, self._limit)
        except UnreadError:
            for delivery in deliveries:
                self._allotment.put(cast(Delivery, ClaimedDelivery(delivery)))
            return False
        finally:
            self._allotment.end()
            self._source.flush()
