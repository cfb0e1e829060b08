"""The libraries that functions are measured against, in a virtual environment of their own, pinned with hashes."""

import hashlib
import sys
import venv
from pathlib import Path

from stack import console
from stack.plan.template import TEMPLATES
from stack.run.bench.program import run_command
from stack.run.workspace import write_file

PROGRAMS = TEMPLATES / "bench"
_LOCK = PROGRAMS / "requirements.lock"


def make_references(folder: Path) -> Path:
    """Return the Python of the environment, which is made on the first call, and again when its pins change.

    Raises:
        StackError: the libraries could not be installed.
    """
    python = folder / "bin" / "python"
    mark = folder / "installed"
    digest = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return python
    with console.working("Installing what functions are measured against"):
        venv.create(folder, clear=True, with_pip=True)
        run_command([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(_LOCK)])
    write_file(mark, digest.encode())
    return python
