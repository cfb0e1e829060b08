"""Requests from an HTTP port: asyncio on an I/O thread."""

import asyncio
import socket
import time
from collections import deque

from stack.processor.configuration import Trigger
from stack.processor.delivery import Intake, Report
from stack.processor.response import Response, refuse
from stack.processor.source.http.connection import HttpConnection, HttpDelivery
from stack.processor.source.http.wire import ResponseWriter
from stack.processor.status import State
from stack.processor.thread import start_thread

# Nuclio's defaults, in bytes.
_HEAD_LIMIT, _BODY_LIMIT = 16 * 1024, 4 * 1024 * 1024
# Seconds between looks at the time-outs; a shorter time-out is looked at ten times before it is over.
_LONGEST_LOOK, _SHORTEST_LOOK = 0.5, 0.01


class HttpSource:
    """Serves one port, and hands over each request as a delivery."""

    def __init__(self, trigger: Trigger, port: socket.socket, intake: Intake, report: Report) -> None:
        self.head_limit = trigger.attributes.integer("readBufferSize", _HEAD_LIMIT)
        self.body_limit = trigger.attributes.integer("maxRequestBodySize", _BODY_LIMIT)
        self.writer = ResponseWriter()
        self.connections: set[HttpConnection] = set()
        self.waiting: dict[HttpDelivery, bool] = {}
        self.is_stopping = False
        self.now = 0.0
        self.no_transport = asyncio.Transport()
        self._patience = trigger.availability_timeout
        self._look = min(_LONGEST_LOOK, max(_SHORTEST_LOOK, self._patience / 10))
        self._port = port
        self._intake = intake
        self._report = report
        self._is_closed = False
        self._outcomes: deque[tuple[HttpDelivery, Response]] = deque()
        self._is_waking = False

    def start(self) -> None:
        """Listen."""
        self._loop = asyncio.new_event_loop()
        self._thread = start_thread("http", self._run)

    def flush(self) -> None:
        """Write the responses that were settled."""
        if self._outcomes and not self._is_waking:
            self._is_waking = True
            self._loop.call_soon_threadsafe(self._respond)

    def stop(self) -> None:
        """Accept no more connections, and close each as soon as nothing is under way on it."""
        self._loop.call_soon_threadsafe(self._stop)

    def close(self, timeout: float) -> None:
        """Write the last responses and end the I/O thread."""
        self.flush()
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout)

    # For deliveries, from any thread.

    def settle(self, delivery: HttpDelivery, response: Response) -> None:
        """Keep a response until the next flush."""
        self._outcomes.append((delivery, response))

    # For connections, on the I/O thread.

    def hand_over(self, delivery: HttpDelivery) -> None:
        """Queue a request for the handler."""
        delivery.deadline = self.now + self._patience
        self.waiting[delivery] = True
        self._intake.put(delivery)

    def forget(self, connection: HttpConnection) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)
        self._close_intake_when_idle()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._tick()
        self._server = self._loop.run_until_complete(self._loop.create_server(self._connect, sock=self._port))
        self._report(State.READY, "")
        self._loop.run_forever()
        self._loop.close()

    def _connect(self) -> HttpConnection:
        return HttpConnection(self)

    def _tick(self) -> None:
        """Look at the clock, and at who has waited too long."""
        self.now = time.time()
        self.writer.set_time(self.now)
        for connection in [connection for connection in self.connections if connection.deadline < self.now]:
            connection.expire()
        for delivery in list(self.waiting):
            if delivery.deadline < self.now and delivery.claim():
                delivery.connection.respond(delivery, refuse(503, ""))
        self._loop.call_later(self._look, self._tick)

    def _respond(self) -> None:
        self._is_waking = False
        outcomes = self._outcomes
        while outcomes:
            delivery, response = outcomes.popleft()
            delivery.connection.respond(delivery, response)
        if self.is_stopping:
            self._close_intake_when_idle()

    def _stop(self) -> None:
        self.is_stopping = True
        self._server.close()
        for connection in list(self.connections):
            connection.finish()
        self._close_intake_when_idle()

    def _close_intake_when_idle(self) -> None:
        if self.is_stopping and not self._is_closed and not any(open_.is_busy for open_ in self.connections):
            self._is_closed = True
            self._intake.close()

    def _end(self) -> None:
        self._respond()
        for connection in list(self.connections):
            connection.finish()
        self._loop.call_soon(self._loop.stop)
