"""The wire between a dispatcher, which has the source, and the workers that it hands messages to.

It is a Unix socket between processes of one processor. A frame is its length, in four bytes, and a value of plain
types written by marshal, which both ends, being the same Python, read alike.
"""

import marshal
import os
import pickle
import select
import socket
import struct
from functools import cache
from importlib import import_module
from typing import Any

from stack.processor.delivery import Delivery, Failure
from stack.processor.message import AmqpMessage, PooledMessage
from stack.processor.response import Response

_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")

Outcome = tuple[Response, Failure | None]

# The frame that tells a dispatched worker that no one waits for the stream that it sends.
GONE = "gone"
# What a frame of a dispatched worker begins with that ends, and has not begun what it was sent.
UNREAD = "unread"


class Wire:
    """One end of the socket between the two; waits where there is nothing to read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self.is_unread = False
        """Whether the other end went without having read what was sent to it last."""

    def send(self, value: Any) -> None:
        """Send one frame."""
        data = marshal.dumps(value)
        self._connection.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> Any:
        """Return what the next frame holds; None when the other end is gone."""
        try:
            head = self._reader.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return None
            data = self._reader.read(size := _LENGTH.unpack(head)[0])
        except ConnectionResetError:
            # What a Unix socket says, instead of its end, where it was closed with data in it.
            self.is_unread = True
            return None
        except OSError:
            return None
        return marshal.loads(data) if len(data) == size else None

    def await_end(self) -> None:
        """Wait until the other end is gone."""
        while self.receive() is not None:
            pass

    def is_cut(self) -> bool:
        """Return whether the other end is gone or takes no more, where nothing is due to be read."""
        try:
            self._connection.send(b"")
        except OSError:
            return True
        return bool(select.select([self._connection], [], [], 0)[0])

    def stop(self) -> None:
        """Take no more frames; what is under way may still be sent."""
        self._connection.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close this end."""
        self._reader.close()
        self._connection.close()


def pack_delivery(delivery: Delivery) -> Any:
    """Return the message of a delivery as plain types; `pool_index` is there where several triggers share workers."""
    index = getattr(delivery, "pool_index", None)
    packed = pack_message(delivery.message)
    return packed if index is None else ("pool", (index, packed))


def pack_message(message: Any) -> Any:
    """Return a message as plain types."""
    if isinstance(message, AmqpMessage):
        # The headers of AMQP can hold types that marshal does not know.
        return "amqp", tuple(message._replace(properties=pickle.dumps(message.properties)))
    return _name_type(message.__class__), tuple(message)


def unpack_message(frame: Any) -> Any:
    """Return the message that was packed."""
    if frame[0] == "pool":
        return PooledMessage(frame[1][0], unpack_message(frame[1][1]))
    if frame[0] == "amqp":
        message = AmqpMessage(*frame[1])
        return message._replace(properties=pickle.loads(message.properties))
    return _find_type(frame[0])(*frame[1])


@cache
def _name_type(kind: Any) -> str:
    return f"{kind.__module__}:{kind.__name__}"


@cache
def _find_type(name: str) -> Any:
    module, _, kind = name.partition(":")
    return getattr(import_module(module), kind)


def pack_outcome(response: Response, failure: Failure | None) -> Any:
    """Return what became of a message as plain types."""
    return pack_response(response), (failure.error, failure.origin, failure.is_final) if failure else None


def unpack_outcome(frame: Any) -> Outcome:
    """Return the outcome that was packed."""
    return unpack_response(frame[0]), Failure(*frame[1]) if frame[1] else None


def pack_response(response: Response) -> Any:
    """Return a response as plain types."""
    return response.status, response.content_type, response.body, dict(response.headers)


def unpack_response(frame: Any) -> Response:
    """Return the response that was packed."""
    return Response(*frame)


def is_own(connection: socket.socket) -> bool:
    """Return whether the other end runs as the same user: a name of the kernel's can be called by anyone."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.getuid())
