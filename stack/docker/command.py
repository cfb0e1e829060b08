"""Docker's command line: run to its end, or read line by line."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from stack.errors import BuildError, EngineError

_ELF = b"\x7fELF"
# Keys of Docker's configuration that name another engine, and more folders of plugins.
_ELSEWHERE = (b"currentContext", b"cliPluginsExtraDirs")


def own_folder() -> Path:
    """Return the folder of this user's configuration of Docker."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def is_plain() -> bool:
    """Return whether docker is Docker's own program, which is not configured to lead elsewhere.

    A script or a snap of that name may lead anywhere.
    """
    docker = shutil.which("docker")
    return docker is not None and Path(docker).resolve().name == "docker" and is_program(Path(docker)) and _is_here()


def is_program(path: Path) -> bool:
    """Return whether a file is a program that was compiled, which may be run."""
    if not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _is_here() -> bool:
    if os.environ.get("DOCKER_CONTEXT"):
        return False
    try:
        configuration = (own_folder() / "config.json").read_bytes()
    except OSError:
        return True
    return not any(key in configuration for key in _ELSEWHERE)


PROVISION = "Type `./bootstrap provision`, which installs what is missing and starts the engine."

_ADVICE = (
    (
        re.compile(r"permission denied.*sock", re.IGNORECASE | re.DOTALL),
        "You may not use Docker's socket. Add yourself to its group with `sudo usermod -aG docker $USER`, "
        "log in again, and type this once more.",
    ),
    (
        re.compile(r"Cannot connect to the Docker daemon|Is the docker daemon running"),
        f"Docker is installed and its engine does not run. {PROVISION}",
    ),
    (
        re.compile(r"no space left on device"),
        "There is no space left on Docker's disk. `docker system prune` frees what Docker no longer uses.",
    ),
)
# What Compose tells besides: warnings, and how far each container got.
_CHATTER = re.compile(r'^(?:time="[^"]*" level=warning | (?:Container|Image|Network|Volume) ).*\n?', re.MULTILINE)
_PLACE = re.compile(r"Cannot connect to the Docker daemon at (\S+?)\. Is the docker daemon running")
_OWN_PLACE = "unix:///var/run/docker.sock"
_PORT = re.compile(r"(?:Bind for|listen tcp4?) (\S+?:\d+)")


def explain(text: str) -> str:
    """Turn what Docker printed into a message that says what to do next."""
    message = _CHATTER.sub("", text).strip() or text.strip() or "it said nothing."
    for pattern, advice in _ADVICE:
        if pattern.search(message):
            return advice + _tell_place(message)
    if match := _PORT.search(message):
        address = match[1].rstrip(":")
        return f"Docker cannot publish {address}: another program uses it. Choose another port, or stop that program."
    return f"Docker refused: {message}"


def _tell_place(message: str) -> str:
    """Say where the engine was looked for, if that is not where it is on most machines."""
    place = _PLACE.search(message)
    if place is None or place[1] == _OWN_PLACE:
        return ""
    return (
        f" It was looked for at {place[1]}, where DOCKER_HOST or Docker's context leads: "
        "`unset DOCKER_HOST` and `docker context use default` lead to this machine's."
    )


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


MINIMUM_ENGINE = (25, 0)
MINIMUM_COMPOSE = (2, 20)


def require_version(name: str, version: str, minimum: tuple[int, int]) -> None:
    """Make sure that a program of Docker's is there, and new enough.

    Raises:
        EngineError: it is not.
    """
    wanted = ".".join(map(str, minimum))
    if not version:
        raise EngineError(f"{name} is not installed; {wanted} or newer is needed. {PROVISION}")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < minimum:
        raise EngineError(f"{name} {version} is too old; {wanted} or newer is needed. {PROVISION}")


# Large enough to be few, small enough to have several in memory.
CHUNK_BYTES = 16 * 2**20


def read_chunks(command: Sequence[str]) -> Iterator[bytes]:
    """Run a command and yield what it writes, in pieces of CHUNK_BYTES; its process ends with its reader.

    Raises:
        EngineError: it failed.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        try:
            while process.stdout and (chunk := process.stdout.read(CHUNK_BYTES)):
                yield chunk
        finally:
            _end_transfer(process)
        _require_success(process, errors)


def write_chunks(command: Sequence[str], chunks: Iterable[bytes]) -> None:
    """Run a command that reads pieces to their end.

    Raises:
        EngineError: it failed.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            for chunk in chunks:
                if process.stdin:
                    process.stdin.write(chunk)
            if process.stdin:
                process.stdin.close()
            process.wait()
        except BrokenPipeError:
            # What it said before it ended tells more.
            process.wait()
        finally:
            _end_transfer(process)
        _require_success(process, errors)


def _end_transfer(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe and not pipe.closed:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    if process.poll() is None:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()


def _require_success(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
    if process.returncode:
        errors.seek(0)
        raise EngineError(explain(errors.read().decode(errors="replace")))
