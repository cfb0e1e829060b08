"""Invoke in processes that are forks of one which has imported its modules: most of a short task's time is imports."""

import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from invoke.main import program

import stack.run

_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True)
class Task:
    """What is typed, where, and with which environment."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    def run(self, *, timeout: float) -> "subprocess.CompletedProcess[str]":
        """Run it to its end.

        Raises:
            subprocess.TimeoutExpired: it did not end in so many seconds.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = {name: str(Path(folder) / name) for name in _STREAMS}
            for path in files.values():
                Path(path).touch()
            process = _SERVER.Process(target=_run, args=(self, files))
            process.start()
            process.join(timeout)
            printed = [Path(files[name]).read_text() for name in _STREAMS[1:]]
            if process.exitcode is None:
                process.kill()
                raise subprocess.TimeoutExpired(list(self.arguments), timeout, *printed)
            return subprocess.CompletedProcess(list(self.arguments), process.exitcode, *printed)


def _run(task: Task, files: Mapping[str, str]) -> None:
    """Be the process of the task: begin as a new Python in its folder does, but for the modules."""
    for number, name in enumerate(_STREAMS):
        os.dup2(os.open(files[name], os.O_RDWR | os.O_CREAT), number)
    os.chdir(task.folder)
    os.environ.update(task.environment)
    sys.argv = ["invoke", *task.arguments]
    program.run(sys.argv)


_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["invoke.main", *(one.name for one in pkgutil.iter_modules(stack.run.__path__, "stack.run."))]
)
