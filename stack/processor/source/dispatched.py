"""The source of a dispatched worker: a dispatcher, in another process, which has the true source."""

import socket
from typing import Any

from stack.processor.configuration import Function
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.response import Response
from stack.processor.status import State
from stack.processor.threads import start_thread
from stack.processor.wire import GONE, UNREAD, Wire, pack_outcome, pack_response, unpack_message
from stack.processor.worker_spec import WorkerSpec


class DispatchedSource:
    """The source of a dispatched worker: its dispatcher."""

    def __init__(self, address: str | bytes, intake: Intake, report: Report) -> None:
        self._address = address
        self._intake = intake
        self._report = report
        self._wire: Wire | None = None
        self._latest: DispatchedDelivery | None = None
        self._stopping = False

    def start(self) -> None:
        """Connect to the dispatcher, and again whenever it was replaced."""
        self._connect()
        start_thread("dispatch", self._read)

    def flush(self) -> None:
        """Do nothing: outcomes are sent as they come."""

    def stop(self) -> None:
        """Take no more."""
        self._stopping = True
        if self._wire:
            self._wire.stop()

    def close(self, timeout: float) -> None:
        """Hang up."""
        if self._wire:
            self._wire.close()

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        # The supervisor holds the listening end, so that this waits for a dispatcher that is being replaced.
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
        dispatch = Dispatch(wire, len(frame))
        deliveries = [
            DispatchedDelivery(dispatch, index, unpack_message(message)) for index, message in enumerate(frame)
        ]
        self._latest = deliveries[-1]
        for delivery in deliveries:
            self._intake.put(delivery)


class Dispatch:
    """Messages that were sent at once, and whose outcomes go back at once."""

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
        """Send one frame to the dispatcher."""
        try:
            self._wire.send((kind, value))
        except OSError:
            # The dispatcher is gone and with it those who wait for the outcome.
            return


class DispatchedDelivery:
    """A message that a dispatcher has sent."""

    __slots__ = ("_dispatch", "_index", "is_gone", "message")

    # Sending waits for the dispatcher, which waits for the client.
    is_full = False

    def __init__(self, dispatch: Dispatch, index: int, message: Any) -> None:
        self._dispatch = dispatch
        self._index = index
        self.message = message
        self.is_gone = False

    @property
    def companions(self) -> int:
        """The number of messages sent at once with this one."""
        return self._dispatch.size - 1

    def claim(self) -> bool:
        """Return that it is to be handled: the dispatcher has claimed it already."""
        return True

    def hold(self) -> None:
        """Note nothing: no one delivers it again."""

    def give_back(self) -> None:
        """Have another worker handle it: this one ends, and has not begun it."""
        self._dispatch.send(UNREAD, None)

    def done(self, response: Response) -> None:
        """Report it handled."""
        self._dispatch.settle(self._index, pack_outcome(response, None))

    def failed(self, response: Response, failure: Failure) -> None:
        """Report it failed."""
        self._dispatch.settle(self._index, pack_outcome(response, failure))

    def begin(self, response: Response) -> None:
        """Send the head of a stream and its first piece."""
        self._dispatch.send("begin", pack_response(response))

    def send(self, piece: bytes) -> None:
        """Send a piece of a stream."""
        self._dispatch.send("piece", piece)

    def end(self, failure: Failure | None) -> None:
        """Say that the stream has ended."""
        self._dispatch.send("end", (failure.error, failure.origin) if failure else None)


def open_source(spec: WorkerSpec, _function: Function, intake: Intake, report: Report) -> DispatchedSource:
    """Return the source of a process, not started yet."""
    assert spec.listener is not None
    address = spec.listener.getsockname()
    # What a handler does to it, it would do to the dispatcher's.
    spec.close_listener()
    return DispatchedSource(address, intake, report)
