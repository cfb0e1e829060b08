"""Bytes out of and into Docker's commands, in pieces: an image or a volume may be larger than memory."""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from stack.errors import EngineError
from stack.run.docker.refusal import explain

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
            _end(process)
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
            _end(process)
        _require_success(process, errors)


def _end(process: "subprocess.Popen[bytes]") -> None:
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
