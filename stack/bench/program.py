"""Programs that are measured, or measure: started, looked at, and ended here."""

import mmap
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

from stack.errors import StackError

_COMMAND_SECONDS = 600
# Seconds that a program may take to be ready, and to end.
_READY_SECONDS, _END_SECONDS = 30.0, 15.0
_LOOK = 0.005
_LOG_BYTES = 2000


@dataclass(frozen=True)
class Program:
    """A running program; what it prints goes to a file."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_for_line(self, text: str, seconds: float = _READY_SECONDS) -> None:
        """Wait until it has printed something."""
        self.wait_until(lambda: text in self.log.read_text(errors="replace"), seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = _READY_SECONDS) -> None:
        """Ask again and again until the condition holds.

        Raises:
            StackError: the program ended, or takes too long; the message ends with its last lines.
        """
        deadline = monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or monotonic() > deadline:
                raise StackError(f"{self.name} is not ready. It printed:\n{self.tell()}")
            sleep(_LOOK)

    def tell(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-_LOG_BYTES:].strip()

    def find_processes(self) -> list[psutil.Process]:
        """Return the program's process and all that it started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def measure_memory(self) -> float:
        """Return the memory of all its processes in MiB: what is shared counts once (PSS)."""
        return sum(one.memory_full_info().pss for one in self.find_processes()) / 2**20


@contextmanager
def run_program(command: Sequence[str], log: Path, **environment: str) -> Iterator[Program]:
    """Run a program for the length of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | environment,
            start_new_session=True,
        )
    try:
        yield Program(log.stem, process, log)
    finally:
        _end(process)


def run_command(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; return what it printed.

    Raises:
        StackError: it failed, or hangs; the message ends with what it said.
    """
    try:
        result = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{' '.join(command)} did not end within {_COMMAND_SECONDS} s.") from None
    if result.returncode:
        raise StackError(f"{' '.join(command)} failed:\n{(result.stderr or result.stdout).strip()}")
    return result.stdout


def time_line(command: list[str], environment: Mapping[str, str], *, line: str) -> float:
    """Run a command to its end; return the seconds until it printed a line on standard error.

    Raises:
        StackError: it failed, or never printed it; the message ends with what it said.
    """
    began, seconds, said = monotonic(), 0.0, list[str]()
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=pipe, text=True) as process:
        for text in process.stderr or ():
            said.append(text)
            if text.rstrip("\n") == line:
                seconds = monotonic() - began
    if process.returncode or not seconds:
        raise StackError(f"{' '.join(command)} failed:\n{''.join(said).strip()}")
    return seconds


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What it started, and did not end.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


# One for each worker.
_SLOTS = 16
_SLOT_BYTES = 8
# Seconds between two looks: a hundredth of the shortest measurement, and too rare to be felt.
_LOOK_COUNT = 0.002
# Seconds without an event after which something is wrong.
_PATIENCE = 20.0


class Count:
    """The counts of one subject; the file's path is for its environment."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_SLOTS * _SLOT_BYTES))
        self.environment = {"BENCH_COUNTER": str(path)}
        with path.open("r+b") as file:
            self._slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")

    def read(self) -> int:
        """Return the events until now."""
        return sum(self._slots)

    def measure_rate(self, total: int, program: Program) -> float:
        """Return the events per second from the first to the last.

        Raises:
            StackError: they do not come.
        """
        self._wait_for(1, program)
        start, first = monotonic(), self.read()
        self._wait_for(total, program)
        return (total - first) / (monotonic() - start)

    def _wait_for(self, count: int, program: Program) -> None:
        seen, deadline = 0, monotonic() + _PATIENCE
        while (found := self.read()) < count:
            if found > seen:
                seen, deadline = found, monotonic() + _PATIENCE
            if monotonic() > deadline:
                raise StackError(
                    f"only {found} of {count} events were handled. {program.name} printed:\n{program.tell()}"
                )
            sleep(_LOOK_COUNT)
