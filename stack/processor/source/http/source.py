"""Requests from an HTTP port: asyncio on an I/O thread."""

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Intake, Last, Report
from stack.processor.loop import find_runner
from stack.processor.response import TIMED_OUT, Response, refuse
from stack.processor.source.http.connection import HttpConnection
from stack.processor.source.http.cors import is_foreign, read_cors, refuse_page
from stack.processor.source.http.delivery import Begin, HttpDelivery, Outcome, ResponseWriter
from stack.processor.stats import Count, EventTimer
from stack.processor.status import State
from stack.processor.threads import start_thread
from stack.processor.worker_spec import BACKLOG, WorkerSpec

# Nuclio's defaults, in bytes.
_HEAD_LIMIT, _BODY_LIMIT = 16 * 1024, 4 * 1024 * 1024
# Seconds between looks at the time-outs; a shorter time-out is looked at ten times before it is over.
_LONGEST_LOOK, _SHORTEST_LOOK = 0.5, 0.01
# Seconds within which a worker that is free has taken a request, also on a machine that is busy: where no one is to
# wait, one that no one has taken by then is turned away.
_TAKING = 0.1
# Seconds between looks whether a worker is there.
_POLL = 0.01
# Seconds of a stop: new connections are still let in, of clients who are about to connect; and a connection that has
# not asked anything yet may still ask.
_LINGER, _ACCEPTED, _HEARING = 0.1, 0.05, 0.25


class BusyTimer:
    """How long the handler of this process has been at its event; a process without a handler is never at one."""

    def __init__(self, timer: EventTimer, limit: float) -> None:
        self._timer = timer
        self._limit = limit

    @property
    def is_late(self) -> bool:
        """Return whether the handler has had more time than it may take."""
        return bool(self._limit) and self._measure() >= self._limit

    def refuse(self, patience: float) -> Response:
        """Return the answer to a client that has waited for a worker for so many seconds."""
        seconds = self._measure()
        at_work = f": it has been at one event for {seconds:.0f} s" if seconds else ""
        ends = f", and is ended after {self._limit:g} s (eventTimeout)" if seconds and self._limit else ""
        return refuse(503, f"no worker of this function was free within {patience:g} s{at_work}{ends}")

    def _measure(self) -> float:
        began = self._timer.read()
        return time.monotonic() - began if began else 0.0


class HttpSource:
    """Serves one port, and hands over each request as a delivery."""

    def __init__(
        self,
        trigger: Trigger,
        ports: Sequence[socket.socket],
        intake: Intake,
        report: Report,
        *,
        busy: BusyTimer | None = None,
    ) -> None:
        self.head_limit = trigger.attributes.integer("readBufferSize", _HEAD_LIMIT)
        self.body_limit = trigger.attributes.integer("maxRequestBodySize", _BODY_LIMIT)
        self.cors = read_cors(trigger.attributes)
        self.writer = ResponseWriter()
        self.connections: set[HttpConnection] = set()
        self.waiting: dict[HttpDelivery, bool] = {}
        self.is_stopping = False
        # Of the last tick: by the clock that no one sets, which deadlines are told in, and since the epoch.
        self.now = self.time = 0.0
        self.no_transport = asyncio.Transport()
        self._patience = max(trigger.availability_timeout, _TAKING)
        self._look = min(_LONGEST_LOOK, max(_SHORTEST_LOOK, self._patience / 10))
        self._ports = ports
        self._intake = intake
        self._runner = find_runner(intake)
        self._loop = self._runner.loop
        self._report = report
        self._busy = busy or BusyTimer(EventTimer(), 0.0)
        self._is_shut = self._is_draining = False
        self._is_closed = False
        self._outcomes: deque[tuple[HttpDelivery, Outcome]] = deque()
        self._is_waking = False

    def start(self) -> None:
        """Listen as soon as there is a worker; return once the loop can be run by others."""
        opened = threading.Event()
        self._thread = start_thread("http", lambda: self._run(opened))
        opened.wait()

    def flush(self) -> None:
        """Write the responses that were settled."""
        if self._outcomes and not self._is_waking and not self._runner.do_now(self._respond):
            self._is_waking = True
            self._loop.call_soon_threadsafe(self._respond)

    def stop(self) -> None:
        """Close, a moment later, the port, and each connection on which nothing is under way."""
        self._loop.call_soon_threadsafe(self._stop)

    def close(self, timeout: float) -> None:
        """Write the last responses and end the I/O thread."""
        self.flush()
        self._loop.call_soon_threadsafe(self._end)
        self._runner.release()
        self._thread.join(timeout)

    # For deliveries, from any thread.

    def settle(self, delivery: HttpDelivery, outcome: Outcome) -> None:
        """Keep a response, or what is next of it, until the next flush."""
        self._outcomes.append((delivery, outcome))

    # For connections, on the I/O thread.

    def hand_over(self, delivery: HttpDelivery) -> None:
        """Queue a request for the handler."""
        # By the clock itself: after a pause of this process the last tick is long ago.
        delivery.deadline = time.monotonic() + self._patience
        self.waiting[delivery] = True
        self._intake.put(delivery)
        if self._is_draining:
            self._intake.put(Last())

    def check_origin(self, delivery: HttpDelivery) -> None:
        """Note which page asks; answer a preflight, and the page of a site that may not ask.

        Who says neither site nor origin is no page of another site, and none of this concerns it.
        """
        headers = {name.lower(): value for name, value in delivery.message.headers}
        origin = headers.get(b"origin", b"").decode("latin-1")
        if self.cors and delivery.message.method == b"OPTIONS" and b"access-control-request-method" in headers:
            delivery.answer = self.cors.answer_preflight(headers)
        elif self.cors and self.cors.admits(origin):
            delivery.origin = origin
        elif is_foreign(delivery.message.method, headers):
            delivery.answer = refuse_page(headers)

    def forget(self, connection: HttpConnection) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)
        self._close_intake_when_idle()

    def _run(self, opened: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._tick()
        self._servers = self._loop.run_until_complete(self._listen())
        self._report(State.READY, "")
        opened.set()
        self._runner.run()
        self._loop.close()

    async def _listen(self) -> list[asyncio.Server]:
        """Listen once a worker is there: until then a client is refused, and the gateway asks another container."""
        while not self._intake.is_served:
            await asyncio.sleep(_POLL)
        return [await self._loop.create_server(self._connect, sock=port, backlog=BACKLOG) for port in self._ports]

    def _connect(self) -> HttpConnection:
        return HttpConnection(self)

    def _tick(self) -> None:
        """Look at the clock, and at who has waited too long."""
        self.now = time.monotonic()
        self.time = time.time()
        self.writer.set_time(self.time)
        for connection in [connection for connection in self.connections if connection.deadline < self.now]:
            connection.expire()
        for delivery in list(self.waiting):
            if delivery.deadline < self.now and delivery.claim():
                self._report.count(Count.REFUSED)
                delivery.connection.respond(delivery, self._busy.refuse(self._patience))
        if self._busy.is_late:
            self._answer_late()
        self._loop.call_later(self._look, self._tick)

    def _answer_late(self) -> None:
        """Answer all who wait, for the handler or for their turn: the supervisor is about to end this process."""
        for delivery in list(self.waiting):
            if delivery.claim():
                self._report.count(Count.REFUSED)
                delivery.connection.respond(delivery, self._busy.refuse(self._patience))
        for connection in list(self.connections):
            connection.give_up(TIMED_OUT)

    def _respond(self) -> None:
        self._is_waking = False
        outcomes = self._outcomes
        while outcomes:
            delivery, outcome = outcomes.popleft()
            if self.cors and delivery.origin:
                outcome = self._allow(outcome, delivery.origin)
            if isinstance(outcome, Response):
                delivery.connection.respond(delivery, outcome)
            else:
                delivery.connection.stream(delivery, outcome)
        if self.is_stopping:
            self._close_intake_when_idle()

    def _allow(self, outcome: Outcome, origin: str) -> Outcome:
        assert self.cors
        if isinstance(outcome, Response):
            return self.cors.allow(outcome, origin)
        return Begin(self.cors.allow(outcome.response, origin)) if isinstance(outcome, Begin) else outcome

    def _stop(self) -> None:
        """Answer from now on with `Connection: close`."""
        self.is_stopping = True
        self._loop.call_later(_LINGER, self._begin_to_leave)

    def _begin_to_leave(self) -> None:
        self._leaving = self._loop.create_task(self._leave())

    async def _leave(self) -> None:
        """Close the ports; those who have connected are accepted before, since a port that closes resets them."""
        with ExitStack() as ports:
            listeners = [ports.enter_context(port.dup()) for port in self._ports]
            for listener in listeners:
                _refuse(listener)
            for server in self._servers:
                server.close()
            await self._accept_rest(listeners)
            # Others were about to connect, and asyncio tells a little later of those that it has accepted itself.
            await asyncio.sleep(_ACCEPTED)
            await self._accept_rest(listeners)
        self._is_shut = True
        for connection in list(self.connections):
            connection.finish()
        self._loop.call_later(_HEARING, self._hear_no_more)
        self._close_intake_when_idle()

    async def _accept_rest(self, listeners: Sequence[socket.socket]) -> None:
        """Accept every connection that waits in the queue of a port."""
        for client in [client for listener in listeners for client in _accept_all(listener)]:
            client.setblocking(False)
            await self._loop.connect_accepted_socket(self._connect, client)

    def _hear_no_more(self) -> None:
        # A batch that is begun would wait for those who come no more.
        self._is_draining = True
        self._intake.put(Last())
        for connection in list(self.connections):
            connection.finish(hear=False)
        self._close_intake_when_idle()

    def _close_intake_when_idle(self) -> None:
        if self._is_shut and not self._is_closed and not any(open_.is_busy for open_ in self.connections):
            self._is_closed = True
            self._intake.close()

    def _end(self) -> None:
        self._respond()
        for connection in list(self.connections):
            connection.finish(hear=False)
        self._loop.call_soon(self._runner.stop)


# A socket option of Linux that Python does not name, and a network interface that there is none of.
_SO_BINDTOIFINDEX, _NO_INTERFACE = 62, 2**31 - 1


def _refuse(listener: socket.socket) -> None:
    """Have the kernel refuse who connects from now on; who has connected, or is about to, can still be accepted.

    Without it a client that connects between the last look at the queue and the close of the port would be reset.
    """
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    clients = []
    with suppress(BlockingIOError):
        while True:
            clients.append(listener.accept()[0])
    return clients


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> HttpSource:
    """Return the source of a process, not started yet."""
    busy = BusyTimer(spec.timer, function.event_timeout)
    return HttpSource(spec.trigger, spec.ports, intake, report, busy=busy)
