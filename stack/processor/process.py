"""One forked process: its birth, its two pipes, and its end."""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, apply_environment
from stack.processor.dispatcher import Dispatcher
from stack.processor.logger import prepare_output
from stack.processor.status import State, StatusReader, StatusWriter
from stack.processor.threads import StopSignal, start_thread
from stack.processor.worker import Worker
from stack.processor.worker_spec import Role, WorkerSpec


@dataclass
class Process:
    """A running process, as the supervisor holds it."""

    pid: int
    status: StatusReader
    lifeline: int
    """The end of a pipe whose closing tells the process to stop; the kernel closes it if the supervisor dies."""

    def stop(self) -> None:
        """Tell the process to take nothing more in, and to end when it is done."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1

    def kill(self) -> None:
        """End the process now."""
        os.kill(self.pid, signal.SIGKILL)

    def release(self) -> None:
        """Close this side of the pipes."""
        self.stop()
        self.status.close()


class Runnable(Protocol):
    """What a process does until it is told to stop."""

    def run(self, stop: StopSignal) -> int:
        """Do it, and return the exit status."""


def start_process(spec: WorkerSpec, function: Function, close_others: Callable[[], None]) -> Process:
    """Fork the process of a worker.

    `forget` runs in the new process first: it closes what is the supervisor's alone.
    """
    lifeline_reader, lifeline_writer = os.pipe()
    status_reader, status_writer = os.pipe()
    # What is there already is never collected, so that the collector does not touch pages that are shared.
    gc.freeze()
    gc.enable()
    pid = os.fork()
    if not pid:
        os.close(lifeline_writer)
        os.close(status_reader)
        close_others()
        _run_child(spec, function, status=StatusWriter(status_writer), lifeline=lifeline_reader)
    os.close(lifeline_reader)
    os.close(status_writer)
    return Process(pid, StatusReader(status_reader), lifeline_writer)


def _run_child(spec: WorkerSpec, function: Function, *, status: StatusWriter, lifeline: int) -> NoReturn:
    """Be the process; never returns, since the frames above are the supervisor's."""
    code = 1
    try:
        code = _run(spec, function, status, lifeline)
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _run(spec: WorkerSpec, function: Function, status: StatusWriter, lifeline: int) -> int:
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    # Ctrl-C reaches every process of a terminal; stopping is the supervisor's to order.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    prepare_output()
    apply_environment(function)
    spec.in_flight.own()
    stop = StopSignal()
    start_thread("lifeline", lambda: _await_stop(lifeline, stop))
    try:
        return _build_runnable(spec, function, status).run(stop)
    except ConfigurationError as error:
        status.send(State.BROKEN, str(error))
        return 1


def _build_runnable(spec: WorkerSpec, function: Function, status: StatusWriter) -> Runnable:
    return (Dispatcher if spec.role is Role.DISPATCHER else Worker)(spec, function, status)


def _await_stop(lifeline: int, stop: StopSignal) -> None:
    os.read(lifeline, 1)
    stop.give()
