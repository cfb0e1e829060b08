"""The time of `invoke --list`, against an Invoke that knows one empty task."""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic

from stack.plan.bench import OWN, Figures
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.program import run_command
from stack.run.workspace import PROGRAM, write_file

# A list is so quick that one round is the median of several.
_CALLS = 3
_TASK = b'from invoke import task\n\n\n@task\ndef nothing(context):\n    """Do nothing."""\n'


def open_command(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare the two lists."""
    bare = bed.scratch / "bare"
    write_file(bare / "tasks.py", _TASK)
    return {OWN: partial(_measure, PROGRAM), "invoke": partial(_measure, bare)}


def _measure(folder: Path) -> Figures:
    return {"time": median(_time_list(folder) for _ in range(_CALLS))}


def _time_list(folder: Path) -> float:
    began = monotonic()
    run_command([sys.executable, "-m", "invoke", "--search-root", str(folder), "--list"])
    return monotonic() - began
