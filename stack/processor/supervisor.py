"""The supervisor: process 1 of a function's container, which keeps every worker's process running.

It runs on one thread, since it forks. It replaces what dies, answers whether all is well, and on SIGTERM lets all that
is in flight be finished.
"""

import os
import selectors
import signal
import socket
from functools import partial
from pathlib import Path
from time import monotonic

from nuclio_sdk import Logger

from stack.processor.configuration import Function
from stack.processor.health import PageServer
from stack.processor.pages import Drain, Reporter, open_servers
from stack.processor.process import Process, start_process
from stack.processor.status import State, Status
from stack.processor.worker_spec import Role, WorkerSpec
from stack.processor.worker_state import TimeoutMonitor, WorkerState

# Where control groups of version 2 and of version 1 have the files, as a container sees its own.
_FOLDERS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/pids"))
# Seconds between two looks, and how many in a row must find the container full.
_INTERVAL, _LOOKS = 3.0, 3


class PidsLimit:
    """Looks, now and then, whether a container has had all its processes for a while; without a limit it never has."""

    def __init__(self, folders: tuple[Path, ...] = _FOLDERS) -> None:
        self._folder = next((one for one in folders if _read(one / "pids.max")), None)
        self._full = 0
        self.due = float("inf") if self._folder is None else 0.0
        """When the next look is due, in seconds of the monotonic clock."""

    def is_exhausted(self, now: float) -> bool:
        """Return whether each of the last looks has found as many processes as there may be."""
        if now < self.due or self._folder is None:
            return False
        self.due = now + _INTERVAL
        limit = _read(self._folder / "pids.max")
        self._full = self._full + 1 if limit and _read(self._folder / "pids.current") >= limit else 0
        return self._full >= _LOOKS


def _read(path: Path) -> int:
    """Return the number in a file, or 0 where there is no such file, or no limit ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


# Seconds that remain for a process to close its connections after its last event, before it is killed.
_GRACE = 2.0
# Seconds within which two signals are one: a terminal's reaches the process itself and, from its parent, once more.
_TWICE = 0.5
# Seconds that a process may still be there after its end of the pipe was closed, which its exit does first.
_EXIT = 1.0
# Seconds for an event in flight when the handler is loaded again.
_RENEWAL = 2.0


class Supervisor:
    """Runs the processes of a function until told to stop."""

    def __init__(self, function: Function, specs: tuple[WorkerSpec, ...], logger: Logger) -> None:
        self._function = function
        self._logger = logger
        self._workers = [WorkerState(spec) for spec in specs]
        self._selector = selectors.DefaultSelector()
        self._timeouts = TimeoutMonitor(function.event_timeout)
        self._pids = PidsLimit()
        self._drain = Drain()
        self._reporter = Reporter(function, self._workers, self._find_trouble, self._drain)
        self._servers: list[PageServer] = []
        self._deadline: float | None = None
        self._exit_code = 0
        self._was_ready = False
        self._stopped_at = 0.0
        self._is_draining = False

    def run(self, health_port: int, metrics_port: int) -> int:
        """Serve; return the exit status."""
        self._wakeup_reader, self._wakeup_writer = socket.socketpair()
        self._servers = open_servers(self._reporter, self._logger, health_port=health_port, metrics_port=metrics_port)
        for server in self._servers:
            server.register(self._selector)
        self._catch_signals()
        while self._deadline is None or any(worker.process for worker in self._workers):
            if self._deadline is None:
                self._start_workers()
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
        """Stop all processes; those that take requests once the gateway knows."""
        self._stopped_at = monotonic()
        longest = max((worker.spec.trigger.termination_timeout for worker in self._workers), default=0.0)
        self._deadline = self._drain.begin() + longest + _GRACE
        self._exit_code = exit_code
        for worker in self._workers:
            worker.spec.close_ports()

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
        """Replace every process that has the handler, whose files have changed; dispatchers and their sockets stay."""
        for worker in self._workers:
            if worker.spec.role is not Role.DISPATCHER and self._deadline is None:
                worker.renew(monotonic() + _RENEWAL)

    def _reap(self) -> None:
        """Take the exit status of every process that ended, also of those that others left to process 1."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for worker in self._workers:
                if worker.process and worker.process.pid == pid:
                    self._on_exit(worker, worker.process, os.waitstatus_to_exitcode(wait_status))

    def _on_exit(self, worker: WorkerState, process: Process, code: int) -> None:
        if worker.exits_by is None:
            self._read_status(worker, process)
        if worker.exits_by is None:
            self._selector.unregister(process.status.descriptor)
        reason = f"ended by a signal: {signal.strsignal(-code)}" if code < 0 else f"ended with exit status {code}"
        reason = worker.kill_reason or reason
        worker.spec.timer.stop()
        is_attributed = worker.spec.in_flight.attribute(worker.kill_reason or f"the worker died: it {reason}")
        delay = worker.on_exit(reason, monotonic(), is_attributed=is_attributed or bool(worker.kill_reason))
        if worker.is_broken and self._function.reloads:
            worker.park()
        if worker.renewed():
            self._logger.info(f"{worker.spec.title}: loads the handler again")
        elif self._deadline is None:
            worker.spec.stats.mark_dead()
            self._logger.warn_with(f"{worker.spec.title}: {reason}", pid=process.pid, again_in_seconds=delay)

    def _start_workers(self) -> None:
        now = monotonic()
        for worker in self._workers:
            if worker.process is None and worker.start_at <= now:
                self._start(worker)

    def _start(self, worker: WorkerState) -> None:
        try:
            process = start_process(worker.spec, self._function, partial(self._close_others, worker.spec))
        except OSError as error:
            delay = worker.on_exit(f"cannot be started: {error}", monotonic())
            self._logger.error_with(f"{worker.spec.title}: cannot be started", error=str(error), again_in_seconds=delay)
            return
        worker.on_start(process, monotonic())
        read_status = partial(self._read_status, worker, process)
        self._selector.register(process.status.descriptor, selectors.EVENT_READ, read_status)

    def _close_others(self, spec: WorkerSpec) -> None:
        """Close, in a new process, what is another's: a pipe or a port must end when its one owner does."""
        signal.set_wakeup_fd(-1)
        for server in self._servers:
            server.close()
        self._selector.close()
        self._wakeup_reader.close()
        self._wakeup_writer.close()
        for worker in self._workers:
            if worker.process:
                worker.process.release()
            if worker.spec is not spec:
                worker.spec.close_ports()
            if worker.spec.listener is not spec.listener:
                worker.spec.close_listener()

    def _read_status(self, worker: WorkerState, process: Process) -> None:
        if worker.process is not process:
            return
        statuses = process.status.read()
        if statuses is None:
            # It ends; or its handler has closed what is the worker's own, and no event comes through any more.
            self._selector.unregister(process.status.descriptor)
            worker.exits_by = monotonic() + _EXIT
        for status in statuses or ():
            self._take_status(worker, status)

    def _take_status(self, worker: WorkerState, status: Status) -> None:
        worker.note(status, monotonic())
        if status.state is State.BROKEN and (not worker.was_ready or self._function.reloads) and self._deadline is None:
            self._logger.error(f"{worker.spec.title}: {status.reason}")
            self._give_up()
        elif status.state in (State.WAITING, State.REFUSED, State.NOTED) and status.reason:
            self._logger.warn(f"{worker.spec.title}: {status.reason}")
        if not self._was_ready and not self._find_trouble():
            self._was_ready = True
            self._logger.info_with("Ready", function=self._function.name, workers=len(self._workers))

    def _give_up(self) -> None:
        """End, since no other start would help; or wait until the handler's file is saved again."""
        if not self._function.reloads:
            self.stop(exit_code=1)

    def _stop_processes(self) -> None:
        """Tell every process to stop, dispatched workers only after their dispatcher, which may have messages."""
        assert self._deadline is not None
        late, self._is_draining = monotonic() >= self._deadline, monotonic() < self._drain.ends
        dispatchers = {
            worker.spec.trigger.name
            for worker in self._workers
            if worker.process and worker.spec.role is Role.DISPATCHER
        }
        for worker in self._workers:
            if worker.process is None:
                continue
            if late:
                self._logger.warn(f"{worker.spec.title}: still busy, killed")
                worker.process.kill()
            elif self._is_draining and worker.spec.takes_requests:
                continue
            elif worker.spec.role is not Role.DISPATCHED or worker.spec.trigger.name not in dispatchers:
                worker.process.stop()
        if late:
            self._deadline = monotonic() + _GRACE

    def _end_late(self) -> None:
        """Kill the workers whose event has taken too long, and those that are of no use any more."""
        now = monotonic()
        for worker in self._timeouts.find_late(self._workers, now):
            worker.kill(self._timeouts.kill_reason)
        for worker in self._workers:
            if worker.exits_by is not None and worker.exits_by <= now:
                worker.kill("the handler closed files and connections of its worker")
            elif worker.leaves_by is not None and worker.leaves_by <= now:
                worker.kill()

    def _end_fork_bomb(self) -> None:
        """End at once where no process can be started any more; process 1 takes all others with it."""
        if self._pids.is_exhausted(monotonic()):
            self._logger.error("The container has had all the processes that it may have for seconds: it ends.")
            os._exit(1)

    def _find_wait(self) -> float | None:
        """Return the seconds until something is due without anything happening; None if nothing is."""
        due = [self._timeouts.due, self._pids.due]
        if self._deadline is not None:
            due += [self._deadline, *([self._drain.ends] if self._is_draining else [])]
        else:
            due += [worker.start_at for worker in self._workers if worker.process is None]
        due += [due for worker in self._workers for due in worker.find_ends()]
        return None if min(due) == float("inf") else max(0.0, min(due) - monotonic())

    def _find_trouble(self) -> str:
        """Return why the function cannot handle events."""
        if self._deadline is not None:
            return "stopping"
        now = monotonic()
        # A dispatcher that still starts waits for its workers, which know why.
        workers = sorted(self._workers, key=lambda worker: worker.is_starting)
        return next((trouble for worker in workers if (trouble := worker.find_trouble(now))), "")
