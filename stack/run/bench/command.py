"""The time of `invoke --list`, against an Invoke that knows one empty task."""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic

from stack.plan.bench import OWN
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants, repeat
from stack.run.bench.program import run_command
from stack.run.workspace import PROGRAM, write_file

_TASK = b'from invoke import task\n\n\n@task\ndef nothing(context):\n    """Do nothing."""\n'


def open_command(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare the two lists."""
    bare = bed.scratch / "bare"
    write_file(bare / "tasks.py", _TASK)
    times = {OWN: partial(_time_list, PROGRAM), "invoke": partial(_time_list, bare)}
    return {name: partial(repeat, measure) for name, measure in times.items()}


def _time_list(folder: Path) -> float:
    began = monotonic()
    run_command([sys.executable, "-m", "invoke", "--search-root", str(folder), "--list"])
    return monotonic() - began
