"""Docker's command line: run to its end, or read line by line."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

from stack.errors import BuildError, EngineError
from stack.run.docker.refusal import PROVISION, explain

_LOG_LINES = 20
# Compose 2.26 erases a terminal's line before each line of a log, also in a pipe.
_ERASE = "\x1b[2K"
# What Docker's commands find in their environment, unless it is set there already. They are Go's: by default the search
# for garbage takes a fifth of one that ends within 50 ms. And the engine keeps a trace of each build that its client
# traces, in which each of twenty builds by one client takes up the steps of all: a quarter of the engine's time.
_LIGHT = {"GOGC": "800", "OTEL_TRACES_SAMPLER": "always_off"}


def run(
    command: Sequence[str], *, text: str | None = None, close_fds: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; it is asked to end, and waited for, if this task is interrupted meanwhile.

    Without `close_fds` it inherits the locks of this task.

    Raises:
        EngineError: there is no such program, which is docker.
    """
    pipe, source = subprocess.PIPE, subprocess.DEVNULL if text is None else subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=pipe,
            stderr=pipe,
            text=True,
            close_fds=close_fds,
            env=_LIGHT | os.environ,
        )
    except FileNotFoundError as error:
        raise EngineError(f"Docker is not installed. {PROVISION}") from error
    with process:
        try:
            output, errors = process.communicate(text)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def require_success(result: "subprocess.CompletedProcess[str]") -> str:
    """Return what a command printed.

    Raises:
        EngineError: it failed; the message says what to do about it.
    """
    if result.returncode:
        raise EngineError(explain(result.stderr))
    return result.stdout


def stream(
    command: Sequence[str],
    failure: str,
    running: "set[subprocess.Popen[str]] | None" = None,
    *,
    text: str = "",
) -> Iterator[str]:
    """Run a command, which may read a text, and yield its lines; its process ends with its reader.

    With `running` it is in that set until then, and inherits the locks of this task: should the task be killed, whoever
    comes next waits until it has ended too.

    Raises:
        BuildError: it failed; the message is `failure` and the last lines.
    """
    process = _start(command, reads=bool(text), close_fds=running is None)
    running = set() if running is None else running
    running.add(process)
    last: deque[str] = deque(maxlen=_LOG_LINES)
    try:
        _feed(process, text)
        for line in process.stdout or ():
            last.append(line.rstrip())
            yield last[-1]
    finally:
        status = _end(process)
        running.discard(process)
    if status:
        raise BuildError(f"{failure}. The log ends with:\n" + "\n".join(f"  {line}" for line in last))


def _start(command: Sequence[str], *, reads: bool, close_fds: bool) -> "subprocess.Popen[str]":
    source, pipe = subprocess.PIPE if reads else subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(
        command,
        stdin=source,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        close_fds=close_fds,
        env=_LIGHT | os.environ,
    )


def _feed(process: "subprocess.Popen[str]", text: str) -> None:
    if process.stdin:
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(text)


def _end(process: "subprocess.Popen[str]") -> int:
    """End a process, unless it has ended, and return its exit status."""
    if process.poll() is None:
        process.terminate()
    if process.stdout:
        process.stdout.close()
    return process.wait()


def relay(command: Sequence[str]) -> int:
    """Print what a command prints, as it comes; return the exit status, which is 0 if the reader had enough."""
    target = None if sys.stdout.isatty() else subprocess.PIPE
    process = subprocess.Popen(command, stdout=target, text=True, errors="replace")
    try:
        for line in process.stdout or ():
            print(line.removeprefix(_ERASE), end="", flush=True)
        return process.wait()
    except (KeyboardInterrupt, BrokenPipeError) as end:
        process.terminate()
        if process.stdout:
            # Compose would wait for ever for somebody to read the rest.
            process.stdout.close()
        process.wait()
        if isinstance(end, BrokenPipeError):
            # Python would complain of the lost pipe once more at its own end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
