"""One HTTP/1.1 connection: requests read, handed over one after the other, and answered in their order."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import httptools

from stack.processor.message import HttpMessage
from stack.processor.response import Response, refuse
from stack.processor.source.http.delivery import (
    BODILESS,
    CONTINUE,
    LAST_CHUNK,
    Begin,
    End,
    HttpDelivery,
    Outcome,
    Piece,
    write_chunk,
)

if TYPE_CHECKING:
    from stack.processor.source.http.source import HttpSource

# Requests that one client may send ahead of their answers before no more are read.
_PIPELINE_LIMIT = 16
# Seconds for: a whole head; the next piece of a body; the next request of a kept connection; a refused client to read
# the refusal; and to read some of a stream.
_HEAD_TIMEOUT, _BODY_TIMEOUT, _IDLE_TIMEOUT, _LINGER_TIMEOUT, _READ_TIMEOUT = 20.0, 30.0, 75.0, 2.0, 60.0
_NEVER = float("inf")
# Bytes a second that a body has to come with on the whole, or a client could send one in a while for ever.
_SLOWEST_BODY = 1024
# Answered without the handler, as Nuclio does; its path is matched as a prefix.
_HEALTH_PATH = b"/__internal/health"


class HttpConnection(asyncio.Protocol):
    """Reads requests of one client and writes what they are answered with; runs on the I/O thread."""

    def __init__(self, source: "HttpSource") -> None:
        self.source = source
        self.deadline = _NEVER
        self._transport: asyncio.Transport = source.no_transport
        self._parser = httptools.HttpRequestParser(self)
        self._current: HttpDelivery | None = None
        self._pending: deque[HttpDelivery] = deque()
        self.is_blocked = False
        self._is_refused = False
        self._is_ending = False
        # Whether the client, while the processor stops, is given a moment to say the request that it came with.
        self._is_heard = False
        self._is_new = True
        self._in_head = False
        self._in_body = False
        self._head_size = 0
        self._body_size = 0
        self._body_began = 0.0
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        # Whether a browser sends it for a page, of whatever site.
        self._is_from_page = False
        self._body: list[bytes] = []

    @property
    def is_busy(self) -> bool:
        """Return whether a request has arrived, or may still, and is not answered yet."""
        return self._current is not None or bool(self._pending) or self._in_body or self._is_heard

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.source.connections.add(self)
        self.deadline = self.source.now + _HEAD_TIMEOUT

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection; what is being handled is handled, for no one."""
        if self._current:
            self._current.is_gone = True
        self.source.forget(self)
        self._pending.clear()

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        if self._is_refused:
            return
        began_before = self._in_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is offered to change to: the request is answered as any other, and is the last.
            self._is_ending = True
        except httptools.HttpParserError:
            self._refuse(400, "the request is not HTTP")
        if self._in_head and began_before:
            self._head_size += len(data)
            if self._head_size > self.source.head_limit:
                self._refuse(431, "the request's head is too large")
        elif self._in_body and self._current is None:
            latest = self._body_began + _BODY_TIMEOUT + self._body_size / _SLOWEST_BODY
            self.deadline = min(self.source.now + _BODY_TIMEOUT, latest)
        self._advance()

    def eof_received(self) -> bool:
        """Answer what was asked before the client closed its side."""
        self._is_ending = True
        return self.is_busy and not self._in_body

    def pause_writing(self) -> None:
        """Handle nothing more while the client does not read its answers."""
        self.is_blocked = True
        if self._current:
            self.deadline = self.source.now + _READ_TIMEOUT

    def resume_writing(self) -> None:
        """Go on."""
        self.is_blocked = False
        if self._current:
            self.deadline = _NEVER
        self._advance()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        self._head_size = 0
        self._body_size = 0
        self._target = b""
        self._headers = []
        self._is_from_page = False
        self._body = []
        if self._current is None:
            self.deadline = self.source.now + _HEAD_TIMEOUT

    def on_url(self, target: bytes) -> None:
        """Take a piece of the request's target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the head, before a body is read."""
        self._in_head = False
        self._in_body = True
        self._body_began = self.source.now
        size = len(self._target)
        for name, value in self._headers:
            size += len(name) + len(value)
            # The parser takes no empty name; to index one is several times as fast as to cut its first byte.
            if name[0] in b"eEcCsSoO":
                self._check_header(name.lower(), value)
        if size > self.source.head_limit:
            self._refuse(431, "the request's head is too large")

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._body_size += len(piece)
        if self._body_size > self.source.body_limit:
            self._refuse_body()
        else:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """Queue the request."""
        self._in_head = self._in_body = self._is_heard = self._is_new = False
        if self._is_refused:
            return
        parser = self._parser
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        message = HttpMessage(parser.get_method(), self._target, self._headers, body, self.source.time)
        delivery = HttpDelivery(
            self,
            message,
            keep_alive=parser.should_keep_alive() and not self.source.is_stopping,
            is_old=parser.get_http_version() == "1.0",
        )
        if self._target.startswith(_HEALTH_PATH):
            delivery.answer = refuse(200, "")
        elif self._is_from_page or self.source.cors:
            self.source.check_origin(delivery)
        self._queue(delivery)

    # What the source calls.

    def respond(self, delivery: HttpDelivery, response: Response) -> None:
        """Write the answer to the request that is being handled, and go on to the next."""
        if self._current is not delivery or self._transport.is_closing():
            return
        keep_alive = self._keeps_alive(delivery)
        try:
            written = self._write(delivery, response, keep_alive=keep_alive)
        except Exception as error:
            # The worker has made sure of what it sends; what it has missed must not leave the client waiting.
            refusal = refuse(500, f"the response cannot be written: {error}")
            written = self._write(delivery, refusal, keep_alive=keep_alive)
        self._transport.write(written)
        self._finish(keep_alive=keep_alive)

    def stream(self, delivery: HttpDelivery, outcome: Outcome) -> None:
        """Write the next of a response that comes piece by piece."""
        if self._current is not delivery or self._transport.is_closing():
            delivery.is_gone = True
        elif isinstance(outcome, Begin):
            self._begin_stream(delivery, outcome.response)
        elif isinstance(outcome, End):
            self._end_stream(delivery, is_whole=outcome.is_whole)
        elif isinstance(outcome, Piece):
            delivery.written += len(outcome.data)
            self._write_piece(delivery, outcome.data)

    def _write(self, delivery: HttpDelivery, response: Response, *, keep_alive: bool) -> bytes:
        return self.source.writer.write(
            response, keep_alive=keep_alive, old_client=delivery.is_old, body_allowed=not delivery.is_head
        )

    def _begin_stream(self, delivery: HttpDelivery, response: Response) -> None:
        delivery.is_begun = True
        is_chunked = not delivery.is_old and response.status not in BODILESS
        delivery.keep_alive = self._keeps_alive(delivery) and not delivery.is_old
        head = self.source.writer.write_head(response, keep_alive=delivery.keep_alive, is_chunked=is_chunked)
        self._transport.write(head)
        # There is nothing to send to who gets the head only.
        delivery.is_gone = delivery.is_head = delivery.is_head or response.status in BODILESS
        self._write_piece(delivery, response.body)

    def _write_piece(self, delivery: HttpDelivery, piece: bytes) -> None:
        if piece and not delivery.is_head:
            self._transport.write(piece if delivery.is_old else write_chunk(piece))

    def _end_stream(self, delivery: HttpDelivery, *, is_whole: bool) -> None:
        """End a stream so that the client knows whether it was whole."""
        if not is_whole and not delivery.is_head:
            # Who gets the head only has all of it.
            self._transport.abort() if delivery.is_old else self._transport.close()
            return
        if not delivery.is_old and not delivery.is_head:
            self._transport.write(LAST_CHUNK)
        self._finish(keep_alive=delivery.keep_alive)

    def _keeps_alive(self, delivery: HttpDelivery) -> bool:
        return delivery.keep_alive and not self._is_ending and not self.source.is_stopping

    def _finish(self, *, keep_alive: bool) -> None:
        """Go on after an answer."""
        self._current = None
        if self._is_refused and not self._pending:
            self._linger()
        elif not keep_alive and not (self._is_ending and self._pending):
            self._transport.close()
        else:
            self.deadline = self.source.now + _IDLE_TIMEOUT
            if self._pending:
                self._advance()

    def expire(self) -> None:
        """Close a connection on which the client has taken too long."""
        if self._in_head or self._in_body:
            self._refuse(408, "the request took too long to arrive")
            self._advance()
        elif self.is_blocked:
            # What is still to be written will not be read.
            self._transport.abort()
        else:
            self._transport.close()
        self.deadline = self.source.now + _LINGER_TIMEOUT

    def give_up(self, response: Response) -> None:
        """Answer the request that a handler has in flight, which will not answer it any more; then close."""
        self._is_ending = True
        if self._current and not self._current.is_begun:
            self.respond(self._current, response)

    def finish(self, *, hear: bool = True) -> None:
        """Close the connection, unless a request is under way; `hear` a client that has not asked anything yet."""
        self._is_heard = hear and (self._is_new or self._in_head)
        if not self.is_busy:
            self._transport.close()

    # The rest.

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name in (b"sec-fetch-site", b"origin"):
            self._is_from_page = True
        elif name == b"content-length" and int(value) > self.source.body_limit:
            self._refuse_body()
        elif name == b"expect" and value.lower() == b"100-continue" and not self._is_refused and not self._current:
            self._transport.write(CONTINUE)

    def _queue(self, delivery: HttpDelivery) -> None:
        self._pending.append(delivery)
        if len(self._pending) == _PIPELINE_LIMIT:
            self._transport.pause_reading()

    def _advance(self) -> None:
        """Hand over the next request, once the one before is answered."""
        while self._pending and self._current is None and not self.is_blocked and not self._transport.is_closing():
            if len(self._pending) == _PIPELINE_LIMIT:
                self._transport.resume_reading()
            self._current = delivery = self._pending.popleft()
            self.deadline = _NEVER
            if delivery.answer is None:
                self.source.hand_over(delivery)
            else:
                self.respond(delivery, delivery.answer)

    def _refuse_body(self) -> None:
        self._refuse(413, f"the request's body is larger than {self.source.body_limit} bytes")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer with an error after all that was asked before, and read no more requests."""
        if self._is_refused:
            return
        self._is_refused = True
        self._in_head = self._in_body = self._is_heard = False
        self._body = []
        message = HttpMessage(b"", b"", [], b"", self.source.time)
        delivery = HttpDelivery(self, message, keep_alive=False, is_old=False)
        delivery.answer = refuse(status, reason)
        self._pending.append(delivery)

    def _linger(self) -> None:
        """Let the client read the refusal: closing while it still sends would make its system drop it."""
        self.deadline = self.source.now + _LINGER_TIMEOUT
        if self._transport.can_write_eof():
            self._transport.write_eof()
