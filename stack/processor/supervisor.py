"""The supervisor: process 1 of a function's container, which keeps a process in each post.

It runs on one thread, since it forks. It replaces what dies, answers whether all is well, and on SIGTERM lets all that
is in hand be finished.
"""

import os
import selectors
import signal
import socket
from functools import partial
from time import monotonic

from nuclio_sdk import Logger

from stack.processor.configuration import Function
from stack.processor.health import PageServer
from stack.processor.pages import Reporter, open_servers
from stack.processor.pids import PidsLimit
from stack.processor.place import Place
from stack.processor.post import Post, Role
from stack.processor.process import Process, start_process
from stack.processor.status import State, Status
from stack.processor.watch import Watch

# Seconds that remain for a process to close its connections after its last event, before it is killed.
_GRACE = 2.0
# Seconds within which two signals are one: a terminal's reaches the process itself and, from its parent, once more.
_TWICE = 0.5
# Seconds for an event in hand when the handler is loaded anew.
_RENEWAL = 2.0


class Supervisor:
    """Runs the processes of a function until told to stop."""

    def __init__(self, function: Function, posts: tuple[Post, ...], logger: Logger) -> None:
        self._function = function
        self._logger = logger
        self._places = [Place(post) for post in posts]
        self._selector = selectors.DefaultSelector()
        self._watch = Watch(function.event_timeout)
        self._pids = PidsLimit()
        self._reporter = Reporter(function, self._places, self._find_trouble)
        self._servers: list[PageServer] = []
        self._deadline: float | None = None
        self._exit_code = 0
        self._was_ready = False
        self._stopped_at = 0.0

    def run(self, health_port: int, metrics_port: int) -> int:
        """Serve; return the exit status."""
        self._wakeup_reader, self._wakeup_writer = socket.socketpair()
        self._servers = open_servers(self._reporter, self._logger, health_port=health_port, metrics_port=metrics_port)
        for server in self._servers:
            server.register(self._selector)
        self._catch_signals()
        while self._deadline is None or any(place.process for place in self._places):
            if self._deadline is None:
                self._fill_places()
            else:
                self._stop_processes()
            for key, _ in self._selector.select(self._find_wait()):
                key.data()
            self._end_late()
            self._end_fork_bomb()
        for server in self._servers:
            server.close()
        return self._exit_code

    def stop(self, exit_code: int = 0) -> None:
        """Stop all processes."""
        now = self._stopped_at = monotonic()
        longest = max((place.post.trigger.termination_timeout for place in self._places), default=0.0)
        self._deadline = now + longest + _GRACE
        self._exit_code = exit_code
        for place in self._places:
            place.post.close_ports()

    def _catch_signals(self) -> None:
        for end in (self._wakeup_reader, self._wakeup_writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        renewing = (signal.SIGUSR1,) if self._function.reloads else ()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *renewing):
            # The number arrives through the wake-up socket; without a handler it would not.
            signal.signal(number, lambda _number, _frame: None)
        self._selector.register(self._wakeup_reader, selectors.EVENT_READ, self._take_signals)

    def _take_signals(self) -> None:
        for number in self._wakeup_reader.recv(1024):
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGUSR1:
                self._renew()
            else:
                self._stop_on(signal.Signals(number))

    def _stop_on(self, number: signal.Signals) -> None:
        """Stop; a second Ctrl-C kills, unless it is the first that came twice."""
        if self._deadline is None:
            self._logger.info_with("Stopping", signal=number.name)
            self.stop()
        elif number is signal.SIGINT and monotonic() - self._stopped_at > _TWICE:
            self._deadline = monotonic()

    def _renew(self) -> None:
        """Replace every process that has the handler, whose files have changed; fronts and their sockets stay."""
        for place in self._places:
            if place.post.role is not Role.FRONT and self._deadline is None:
                place.renew(monotonic() + _RENEWAL)

    def _reap(self) -> None:
        """Take the exit status of every process that ended, also of those that others left to process 1."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for place in self._places:
                if place.process and place.process.pid == pid:
                    self._mourn(place, place.process, os.waitstatus_to_exitcode(wait_status))

    def _mourn(self, place: Place, process: Process, code: int) -> None:
        self._read_status(place, process)
        self._selector.unregister(process.status.descriptor)
        reason = f"ended by a signal: {signal.strsignal(-code)}" if code < 0 else f"ended with exit status {code}"
        reason = place.verdict or reason
        place.post.clock.stop()
        is_blamed = place.post.hand.blame(place.verdict or f"the worker died: it {reason}")
        delay = place.vacate(reason, monotonic(), is_blamed=is_blamed or bool(place.verdict))
        if place.is_broken and self._function.reloads:
            place.rest()
        if place.renewed():
            self._logger.info(f"{place.post.title}: loads the handler anew")
        elif self._deadline is None:
            place.post.meter.bury()
            self._logger.warn_with(f"{place.post.title}: {reason}", pid=process.pid, again_in_seconds=delay)

    def _fill_places(self) -> None:
        now = monotonic()
        for place in self._places:
            if place.process is None and place.start_at <= now:
                self._fill(place)

    def _fill(self, place: Place) -> None:
        try:
            process = start_process(place.post, self._function, partial(self._forget, place.post))
        except OSError as error:
            delay = place.vacate(f"cannot be started: {error}", monotonic())
            self._logger.error_with(f"{place.post.title}: cannot be started", error=str(error), again_in_seconds=delay)
            return
        place.fill(process, monotonic())
        read_status = partial(self._read_status, place, process)
        self._selector.register(process.status.descriptor, selectors.EVENT_READ, read_status)

    def _forget(self, post: Post) -> None:
        """Close, in the new process of a post, what is another's: a pipe or a port must end when its one owner does."""
        signal.set_wakeup_fd(-1)
        for server in self._servers:
            server.close()
        self._selector.close()
        self._wakeup_reader.close()
        self._wakeup_writer.close()
        for place in self._places:
            if place.process:
                place.process.release()
            if place.post is not post:
                place.post.close_ports()

    def _read_status(self, place: Place, process: Process) -> None:
        if place.process is not process:
            return
        for status in process.status.read() or ():
            self._take_status(place, status)

    def _take_status(self, place: Place, status: Status) -> None:
        place.note(status, monotonic())
        if status.state is State.BROKEN and (not place.was_ready or self._function.reloads) and self._deadline is None:
            self._logger.error(f"{place.post.title}: {status.reason}")
            self._give_up()
        elif status.state in (State.WAITING, State.NOTED) and status.reason:
            self._logger.warn(f"{place.post.title}: {status.reason}")
        if not self._was_ready and not self._find_trouble():
            self._was_ready = True
            self._logger.info_with("Ready", function=self._function.name, workers=len(self._places))

    def _give_up(self) -> None:
        """End, since no other start would help; or wait until the handler's file is saved again."""
        if not self._function.reloads:
            self.stop(exit_code=1)

    def _stop_processes(self) -> None:
        """Order every process to stop, borrowers only when their front, which still lends, is gone."""
        assert self._deadline is not None
        late = monotonic() >= self._deadline
        fronts = {place.post.trigger.name for place in self._places if place.process and place.post.role is Role.FRONT}
        for place in self._places:
            if place.process is None:
                continue
            if late:
                self._logger.warn(f"{place.post.title}: still busy, killed")
                place.process.kill()
            elif place.post.role is not Role.BORROWER or place.post.trigger.name not in fronts:
                place.process.stop()
        if late:
            self._deadline = monotonic() + _GRACE

    def _end_late(self) -> None:
        """Kill the workers whose event has taken too long."""
        for place in self._watch.find_late(self._places, monotonic()):
            assert place.process is not None
            place.verdict = self._watch.verdict
            place.process.kill()
        for place in self._places:
            if place.process and place.leaves_by is not None and place.leaves_by <= monotonic():
                place.process.kill()

    def _end_fork_bomb(self) -> None:
        """End at once where no process can be started any more; process 1 takes all others with it."""
        if self._pids.is_exhausted(monotonic()):
            self._logger.error("The container has had all the processes that it may have for seconds: it ends.")
            os._exit(1)

    def _find_wait(self) -> float | None:
        """Return the seconds until something is due without anything happening; None if nothing is."""
        due = [self._watch.due, self._pids.due]
        if self._deadline is not None:
            due.append(self._deadline)
        else:
            due += [place.start_at for place in self._places if place.process is None]
            due += [place.leaves_by for place in self._places if place.process and place.leaves_by is not None]
        return None if min(due) == float("inf") else max(0.0, min(due) - monotonic())

    def _find_trouble(self) -> str:
        """Return why the function cannot handle events."""
        if self._deadline is not None:
            return "stopping"
        now = monotonic()
        return next((trouble for place in self._places if (trouble := place.find_trouble(now))), "")
