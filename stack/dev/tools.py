"""What tests, checks and documentation need besides: the packages of tests/requirements.lock, and Chromium."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from stack import console
from stack.errors import HostError
from stack.run.provision.machine import install_package
from stack.state.workspace import PROGRAM

_LOCK = PROGRAM / "tests" / "requirements.lock"
_CHROMIUM = "chromium"


def install_test_tools(*, browser: bool) -> None:
    """Install the packages, unless the lock is that of last time; Chromium only where a browser is wanted.

    Raises:
        HostError: something cannot be installed; the message says what to type.
    """
    install_packages(_LOCK, Path(sys.prefix))
    if browser and not shutil.which(_CHROMIUM):
        install_package(_CHROMIUM, "shows the dashboard to its tests")


def install_packages(lock: Path, environment: Path) -> None:
    """Install the packages of a lock file into a virtual environment, which keeps the lock's digest.

    Raises:
        HostError: they cannot be installed; the message says what to type.
    """
    stamp = environment / ".test-tools"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    console.say("Installing what tests and checks need.")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    command = (*pip, "install", "--require-hashes", "--requirement", str(lock))
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        problem = f"Tests and checks need what could not be installed. To see why, type: {' '.join(command)}"
        raise HostError(problem) from error
    stamp.write_text(digest)
