"""What a front makes of a borrower that goes."""

import socket
import threading
from collections.abc import Iterator

import pytest

from stack.processor.delivery import Failure
from stack.processor.dispatcher import ClaimedDelivery, UnreadError, dispatch
from stack.processor.message import HttpMessage
from stack.processor.response import Response
from stack.processor.wire import Wire

MESSAGE = HttpMessage(b"GET", b"/", [], b"", 0.0)


class Request:
    """A delivery that keeps what it was told."""

    message = MESSAGE

    def __init__(self) -> None:
        self.outcome: tuple[int, str] | None = None

    def claim(self) -> bool:
        return False

    def hold(self) -> None:
        pass

    def done(self, response: Response) -> None:
        self.outcome = response.status, ""

    def failed(self, response: Response, failure: Failure) -> None:
        self.outcome = response.status, failure.error


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    dispatcher, borrower = socket.socketpair()
    with borrower:
        wire = Wire(dispatcher)
        yield wire, borrower
        wire.close()


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_borrower_that_read_nothing_leaves_it_for_another(ends: tuple[Wire, socket.socket], delay: float) -> None:
    wire, borrower = ends
    request = Request()
    # It goes when it has been sent the message, which it does not read; or, without a delay, before.
    threading.Timer(delay, borrower.close).start() if delay else borrower.close()
    with pytest.raises(UnreadError):
        dispatch(wire, [request], 0.0)
    assert request.outcome is None
    assert ClaimedDelivery(request).claim() and ClaimedDelivery(request).message is MESSAGE


@pytest.mark.parametrize(("limit", "status", "error"), [(0.0, 500, "the worker ended"), (1e-9, 408, "timed out")])
def test_borrower_that_had_begun_fails_it(
    ends: tuple[Wire, socket.socket], limit: float, status: int, error: str
) -> None:
    wire, borrower = ends
    borrower.shutdown(socket.SHUT_WR)
    request = Request()
    assert not dispatch(wire, [request], limit)
    assert request.outcome is not None
    assert request.outcome[0] == status and error in request.outcome[1]
