"""pika's connection with less work for each message: a third of all that is done for one that no one handles."""

from struct import Struct
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.frame import Method, decode_frame
from pika.spec import FRAME_END_SIZE, FRAME_HEADER_SIZE, Basic

# The size of a frame, and where in its head it is: after the type and the channel (AMQP 0-9-1, 4.2.3).
_SIZE, _SIZE_AT = Struct(">L"), 3


class Connection(AsyncioConnection):  # type: ignore[misc]
    """Reads as pika does, but cuts its buffer once for all that one read of the socket brought, not once a frame.

    The methods are pika's own hooks, which it calls on itself.
    """

    _frame_buffer: bytes

    def _on_data_available(self, data_in: bytes) -> None:
        if not self.is_open:
            super()._on_data_available(data_in)
            return
        buffer = self._frame_buffer = self._frame_buffer + data_in
        start, end = 0, len(buffer)
        while start + FRAME_HEADER_SIZE <= end:
            stop = start + FRAME_HEADER_SIZE + _SIZE.unpack_from(buffer, start + _SIZE_AT)[0] + FRAME_END_SIZE
            if stop > end:
                break
            size, frame = decode_frame(buffer[start:stop])
            self.bytes_received += size
            start = stop
            if frame:
                self._process_frame(frame)
            if self._frame_buffer is not buffer:
                # The frame has ended the connection.
                return
        self._frame_buffer = buffer[start:]

    def _process_callbacks(self, frame_value: Any) -> bool:
        """Look for callbacks only where there may be some: deliveries go to their channel."""
        if not isinstance(frame_value, Method) or isinstance(frame_value.method, Basic.Deliver):
            return False
        return bool(super()._process_callbacks(frame_value))
