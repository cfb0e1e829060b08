"""A front: has the source that there can be only one of, and lends each message to a worker that is free."""

import socket
import threading
from functools import partial

from stack.processor.configuration import Function
from stack.processor.delivery import Delivery, Failure
from stack.processor.inbox import Inbox
from stack.processor.post import Post
from stack.processor.response import refuse
from stack.processor.source.catalogue import open_source
from stack.processor.status import StatusWriter
from stack.processor.stop import Stop
from stack.processor.thread import start_thread
from stack.processor.wire import Outcome, Wire, is_own, pack_message, unpack_outcome

# Seconds that the source may take to send the last outcomes.
_CLOSE_AFTER = 5.0


class Front:
    """Lends what a source hands over to whichever borrower is free.

    Each borrower has a thread here. All of them wait at one inbox, so that a message is always for one who is free.
    """

    def __init__(self, post: Post, function: Function, status: StatusWriter) -> None:
        assert post.counter is not None
        self._counter: socket.socket = post.counter
        self._inbox = Inbox()
        self._source = open_source(post, function, self._inbox, status.tell)
        self._loans: list[threading.Thread] = []

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

    def _lend(self, wire: Wire) -> None:
        """Lend to one borrower until it is gone or there is nothing more to lend."""
        while (delivery := self._inbox.get()) is not None:
            if wire.is_cut():
                self._inbox.put(delivery)
                break
            if delivery.claim() and not self._lend_one(wire, delivery):
                break
        else:
            self._inbox.close()
        wire.close()

    def _lend_one(self, wire: Wire, delivery: Delivery) -> bool:
        """Lend one message and pass on its outcome; tell whether the borrower lives."""
        outcome = _exchange(wire, delivery)
        reason = "the worker ended while it handled this event"
        response, failure = outcome or (refuse(500, reason), Failure(reason, ""))
        if failure:
            delivery.failed(response, failure)
        else:
            delivery.done(response)
        self._source.flush()
        return outcome is not None


def _exchange(wire: Wire, delivery: Delivery) -> Outcome | None:
    """Return what a borrower made of a message; None when it is gone."""
    try:
        wire.send(pack_message(delivery.message))
    except OSError:
        return None
    frame = wire.receive()
    return None if frame is None else unpack_outcome(frame)
