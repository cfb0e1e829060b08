"""Messages as a consumer gets them, read in one go: a Basic.Deliver, its header and its body.

pika reads each of the three frames by itself, looks for what waits for it, and puts the message together again. That is
two fifths of what an event takes. What is not whole yet, or is anything else, is left to pika.
"""

from functools import lru_cache
from struct import Struct, error
from typing import Any, NamedTuple

from pika.data import decode_short_string
from pika.spec import FRAME_BODY, FRAME_END, FRAME_END_SIZE, FRAME_HEADER, FRAME_HEADER_SIZE, FRAME_METHOD, Basic

from stack.processor.source.rabbitmq.properties import Properties

# The beginnings of frames (AMQP 0-9-1, 4.2.3): type, channel and size; then the method, or the class, the weight and
# the size of the whole body.
_METHOD, _HEADER, _BODY = Struct(">BHLL"), Struct(">BHLHHQ"), Struct(">BHL")
_AROUND: int = FRAME_HEADER_SIZE + FRAME_END_SIZE
# What stands between the names: the delivery tag, and a bit that says whether it was delivered before.
_TAG = Struct(">QB")
# Names that are remembered, of which the same come again and again.
_REMEMBERED = 4096


class Delivered(NamedTuple):
    """A message; its parts have the names that pika's frames have."""

    channel_number: int
    method: Any
    """A Basic.Deliver."""
    properties: Properties
    body: bytes
    stop: int
    """Where its last frame ends."""


def read_delivered(buffer: bytes, start: int) -> Delivered | None:
    """Return the message that begins at a place of a buffer, if it is whole there, and in three frames as is usual."""
    try:
        kind, channel, size, method = _METHOD.unpack_from(buffer, start)
        if kind != FRAME_METHOD or method != Basic.Deliver.INDEX:
            return None
        header = start + size + _AROUND
        body, length = _find_body(buffer, header, channel)
        stop = _find_end(buffer, body, channel=channel, length=length)
        if not buffer[header - 1] == buffer[body - 1] == buffer[stop - 1] == FRAME_END:
            return None
        deliver = _read_deliver(buffer, start + _METHOD.size, header - 1)
    except (error, IndexError):
        return None
    properties = Properties().decode(buffer[header + _HEADER.size : body - 1])
    return Delivered(channel, deliver, properties, buffer[body + _BODY.size : stop - 1] if length else b"", stop)


def _find_body(buffer: bytes, header: int, channel: int) -> tuple[int, int]:
    """Return where the frame of the header ends, and how many bytes the body has.

    Raises:
        IndexError: the frame is none of a header.
    """
    kind, its_channel, size, _, _, length = _HEADER.unpack_from(buffer, header)
    if kind != FRAME_HEADER or its_channel != channel:
        raise IndexError
    return header + size + _AROUND, length


def _find_end(buffer: bytes, body: int, *, channel: int, length: int) -> int:
    """Return where the message ends.

    Raises:
        IndexError: the body is in several frames, or not whole.
    """
    if length and _BODY.unpack_from(buffer, body) != (FRAME_BODY, channel, length):
        raise IndexError
    return body + length + _AROUND if length else body


def _read_deliver(buffer: bytes, start: int, stop: int) -> Any:
    middle = start + 1 + buffer[start]
    tag, bits = _TAG.unpack_from(buffer, middle)
    consumer, exchange, key = _read_names(buffer[start:middle], buffer[middle + _TAG.size : stop])
    return Basic.Deliver(consumer, tag, bool(bits & 1), exchange, key)


@lru_cache(_REMEMBERED)
def _read_names(before: bytes, after: bytes) -> tuple[Any, Any, Any]:
    """Return the tag of the consumer, the exchange and the routing key; what is no UTF-8 is bytes, as with pika."""
    exchange, end = decode_short_string(after, 0)
    return decode_short_string(before, 0)[0], exchange, decode_short_string(after, end)[0]
