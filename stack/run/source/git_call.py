"""One call of git: bounded in time, in what it writes and in what it prints, and gone with all that it has started."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stack.config.settings import Downloads
from stack.errors import FunctionError

_CHUNK_BYTES = 1 << 16
# How often it is looked at what git has written.
_LOOK_SECONDS = 0.2
# A list of the references of a large repository is shorter.
_MOST_OUTPUT_BYTES = 20_000_000
# What a shell says of a program that it does not find.
_NOT_FOUND = 127


@dataclass
class Call:
    """A git that runs, and the files of what it prints."""

    process: "subprocess.Popen[bytes]"
    stdout: IO[bytes]
    stderr: IO[bytes]
    limits: Downloads
    deadline: float
    status: int = 0

    @property
    def output(self) -> str:
        """Return what it has printed."""
        return _read(self.stdout)

    @property
    def errors(self) -> str:
        """Return what it has said of errors."""
        return _read(self.stderr)

    def wait(self, folder: Path | None = None) -> None:
        """Wait until it has ended; `folder` is where it writes.

        Raises:
            FunctionError: it takes too long, writes or prints too much, or is not installed.
        """
        while not self._has_ended(folder, _LOOK_SECONDS):
            continue
        if self.status == _NOT_FOUND:
            raise FunctionError("git is not installed. Type `sudo apt install git`.")

    def read_entries(self) -> Iterator[str]:
        """Yield what it prints, split by NUL, as it comes; the file of its output is read behind it.

        Raises:
            FunctionError: it takes too long, or fails.
        """
        held, has_ended = b"", False
        with open(self.stdout.name, "rb") as file:  # noqa: PTH123 -- a descriptor of its own, with its own position
            while True:
                chunk = file.read(_CHUNK_BYTES)
                *whole, held = (held + chunk).split(b"\0")
                yield from (entry.decode(errors="replace") for entry in whole)
                if not chunk:
                    if has_ended:
                        break
                    has_ended = self._has_ended(None, _LOOK_SECONDS / 4)
        if self.status:
            raise FunctionError(f"git cannot list the files: {self.errors.strip()}")

    def _has_ended(self, folder: Path | None, seconds: float) -> bool:
        try:
            self.status = self.process.wait(min(seconds, self._find_rest()))
        except subprocess.TimeoutExpired:
            self._check(folder)
            return False
        return True

    def _find_rest(self) -> float:
        return max(0.01, self.deadline - time.monotonic())

    def _check(self, folder: Path | None) -> None:
        if time.monotonic() >= self.deadline:
            message = f"git took longer than {self.limits.seconds} s; `downloads.seconds` in stack.yaml permits more"
            raise FunctionError(message)
        # A pack and the files that come of it are there together for a moment.
        if folder and _measure(folder) > 2 * self.limits.bytes + _MOST_OUTPUT_BYTES:
            raise FunctionError(
                f"it is larger than {self.limits.megabytes} MB; `downloads.megabytes` in stack.yaml permits more"
            )
        if os.fstat(self.stdout.fileno()).st_size > _MOST_OUTPUT_BYTES:
            raise FunctionError("git says more than any repository should have to say")


@contextmanager
def start_call(
    arguments: Sequence[str], environment: Mapping[str, str], limits: Downloads, deadline: float
) -> Iterator[Call]:
    """Start git in a group of processes of its own, which all end with the block.

    No file that it writes, such as a pack of objects, may be larger than the limit, in blocks of 512 bytes.
    """
    command = ["sh", "-c", f'ulimit -f {limits.bytes // 512}; exec git "$@"', "git", *arguments]
    with tempfile.NamedTemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            yield Call(process, stdout, stderr, limits, deadline)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End git and what it has started, which is a group of processes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_OUTPUT_BYTES).decode(errors="replace")


def _measure(folder: Path) -> int:
    """Return how many bytes the files below a folder have, which may go while it is looked."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total
