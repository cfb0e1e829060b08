"""One HTTP request on its way through a worker."""

from typing import TYPE_CHECKING, NamedTuple

from stack.processor.delivery import Failure
from stack.processor.message import HttpMessage
from stack.processor.response import Response

if TYPE_CHECKING:
    from stack.processor.source.http.connection import HttpConnection

# Bytes of a stream that may wait for the I/O thread.
_AHEAD = 256 * 1024


class Begin(NamedTuple):
    """The head of a streamed response, with its first piece."""

    response: Response


class Piece(NamedTuple):
    """A piece of a streamed response."""

    data: bytes


class End(NamedTuple):
    """The end of a streamed response; one that failed is cut off."""

    is_whole: bool


Outcome = Response | Begin | Piece | End


class HttpDelivery:
    """One request; `answer` is the processor's own, where it has one, and `origin` the page that asked, under CORS.

    `claim`, `done`, `failed`, `begin`, `send`, `end` and `is_full` are for the worker's thread.
    """

    __slots__ = (
        "_sent",
        "answer",
        "connection",
        "deadline",
        "is_begun",
        "is_gone",
        "is_head",
        "is_old",
        "keep_alive",
        "message",
        "origin",
        "pool_index",
        "written",
    )

    def __init__(self, connection: "HttpConnection", message: HttpMessage, *, keep_alive: bool, is_old: bool) -> None:
        self.connection = connection
        self.message = message
        self.keep_alive = keep_alive
        self.is_old = is_old
        self.is_head = message.method == b"HEAD"
        self.is_gone = False
        self.is_begun = False
        self.answer: Response | None = None
        self.origin = ""
        self.deadline = float("inf")
        self.written = 0
        self._sent = 0

    def claim(self) -> bool:
        """Return whether it still waits for a worker, and has not been answered meanwhile."""
        return self.connection.source.waiting.pop(self, None) is not None

    def done(self, response: Response) -> None:
        """Answer the request."""
        self.connection.source.settle(self, response)

    def failed(self, response: Response, failure: Failure) -> None:
        """Answer the request; the client is told, and nothing else is left to do."""
        self.connection.source.settle(self, response)

    @property
    def is_full(self) -> bool:
        """Return whether the client has not read enough yet."""
        return self.connection.is_blocked or self._sent - self.written > _AHEAD

    def begin(self, response: Response) -> None:
        """Send the head of a stream and its first piece."""
        self._settle_now(Begin(response))

    def send(self, piece: bytes) -> None:
        """Send a piece of a stream."""
        self._sent += len(piece)
        self._settle_now(Piece(piece))

    def end(self, failure: Failure | None) -> None:
        """Say that the stream has ended."""
        self._settle_now(End(failure is None))

    def _settle_now(self, outcome: Outcome) -> None:
        self.connection.source.settle(self, outcome)
        self.connection.source.flush()
