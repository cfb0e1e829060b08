"""The source of a worker that borrows: a front, in another process, which has the true source."""

import socket
from typing import Any

from stack.processor.delivery import Failure, Intake, Report
from stack.processor.response import Response
from stack.processor.status import State
from stack.processor.thread import start_thread
from stack.processor.wire import Wire, pack_outcome, unpack_message


class LoanSource:
    """The source of a worker that borrows: its front."""

    def __init__(self, address: str | bytes, intake: Intake, report: Report) -> None:
        self._address = address
        self._intake = intake
        self._report = report
        self._wire: Wire | None = None
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
                self._intake.put(BorrowedDelivery(self._wire, unpack_message(frame)))
            if not self._stopping:
                self._connect()
        self._intake.close()


class BorrowedDelivery:
    """A message that a front has lent."""

    __slots__ = ("_wire", "message")

    def __init__(self, wire: Wire, message: Any) -> None:
        self._wire = wire
        self.message = message

    def claim(self) -> bool:
        """Tell that it is to be handled: the front has claimed it already."""
        return True

    def done(self, response: Response) -> None:
        """Give it back, handled."""
        self._send(pack_outcome(response, None))

    def failed(self, response: Response, failure: Failure) -> None:
        """Give it back, failed."""
        self._send(pack_outcome(response, failure))

    def _send(self, outcome: Any) -> None:
        try:
            self._wire.send(outcome)
        except (OSError, ValueError):
            # The front is gone and with it whoever waits for the outcome.
            return
