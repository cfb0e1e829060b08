"""The source of a worker that borrows: a front, in another process, which has the true source."""

import socket
from typing import Any

from stack.processor.configuration import Function
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.post import Post
from stack.processor.response import Response
from stack.processor.status import State
from stack.processor.thread import start_thread
from stack.processor.wire import GONE, Wire, pack_outcome, pack_response, unpack_message


class LoanSource:
    """The source of a worker that borrows: its front."""

    def __init__(self, address: str | bytes, intake: Intake, report: Report) -> None:
        self._address = address
        self._intake = intake
        self._report = report
        self._wire: Wire | None = None
        self._latest: BorrowedDelivery | None = None
        self._stopping = False

    def start(self) -> None:
        """Connect to the front, and again whenever it was replaced."""
        self._connect()
        start_thread("loan", self._read)

    def flush(self) -> None:
        """Do nothing: outcomes are sent as they come."""

    def stop(self) -> None:
        """Borrow no more."""
        self._stopping = True
        if self._wire:
            self._wire.stop()

    def close(self, timeout: float) -> None:
        """Hang up."""
        if self._wire:
            self._wire.close()

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        # The supervisor holds the listening end, so that this waits for a front that is being replaced.
        connection.connect(self._address)
        self._wire = Wire(connection)
        self._report(State.READY, "")

    def _read(self) -> None:
        while not self._stopping:
            assert self._wire is not None
            while (frame := self._wire.receive()) is not None:
                self._take(self._wire, frame)
            if not self._stopping:
                self._connect()
        self._intake.close()

    def _take(self, wire: Wire, frame: Any) -> None:
        if frame == GONE:
            assert self._latest is not None
            self._latest.is_gone = True
            return
        loan = Loan(wire, len(frame))
        deliveries = [BorrowedDelivery(loan, index, unpack_message(message)) for index, message in enumerate(frame)]
        self._latest = deliveries[-1]
        for delivery in deliveries:
            self._intake.put(delivery)


class Loan:
    """What was lent at once, and is given back at once."""

    def __init__(self, wire: Wire, size: int) -> None:
        self.size = size
        self._wire = wire
        self._outcomes: list[Any] = [None] * size

    def settle(self, index: int, outcome: Any) -> None:
        """Keep the outcome of one message; send them when there are all."""
        self._outcomes[index] = outcome
        if None not in self._outcomes:
            self.send("done", self._outcomes)

    def send(self, kind: str, value: Any) -> None:
        """Send one frame to the front."""
        try:
            self._wire.send((kind, value))
        except OSError:
            # The front is gone and with it whoever waits for the outcome.
            return


class BorrowedDelivery:
    """A message that a front has lent."""

    __slots__ = ("_index", "_loan", "is_gone", "message")

    # Sending waits for the front, which waits for the client.
    is_full = False

    def __init__(self, loan: Loan, index: int, message: Any) -> None:
        self._loan = loan
        self._index = index
        self.message = message
        self.is_gone = False

    @property
    def companions(self) -> int:
        """The number of messages lent at once with this one."""
        return self._loan.size - 1

    def claim(self) -> bool:
        """Tell that it is to be handled: the front has claimed it already."""
        return True

    def done(self, response: Response) -> None:
        """Give it back, handled."""
        self._loan.settle(self._index, pack_outcome(response, None))

    def failed(self, response: Response, failure: Failure) -> None:
        """Give it back, failed."""
        self._loan.settle(self._index, pack_outcome(response, failure))

    def begin(self, response: Response) -> None:
        """Give back the head of a stream and its first piece."""
        self._loan.send("begin", pack_response(response))

    def send(self, piece: bytes) -> None:
        """Give back a piece of a stream."""
        self._loan.send("piece", piece)

    def end(self, failure: Failure | None) -> None:
        """Say that the stream has ended."""
        self._loan.send("end", (failure.error, failure.origin) if failure else None)


def open_source(post: Post, _function: Function, intake: Intake, report: Report) -> LoanSource:
    """Return the source of a process, not started yet."""
    assert post.counter is not None
    return LoanSource(post.counter.getsockname(), intake, report)
