"""What tests, checks and documentation need besides: the packages of tests/requirements.lock, and Chromium."""

import shutil
import subprocess
import sys
from importlib.util import find_spec

from stack import console
from stack.errors import HostError
from stack.run.provision.package import install_package
from stack.run.workspace import PROGRAM

_LOCK = PROGRAM / "tests" / "requirements.lock"
_MODULES = ("axe_playwright_python", "codespell_lib", "mkdocs", "playwright", "pytest_cov", "schemathesis")
_CHROMIUM = "chromium"


def install_test_tools(*, browser: bool) -> None:
    """Install what is missing; Chromium only where a browser is wanted.

    Raises:
        HostError: it cannot be installed; the message says what to type.
    """
    if not all(map(find_spec, _MODULES)):
        console.say("Installing what tests and checks need.")
        _run(sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(_LOCK))
    if browser and not shutil.which(_CHROMIUM):
        install_package(_CHROMIUM, "shows the dashboard to its tests")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        problem = f"Tests and checks need what could not be installed. To see why, type: {' '.join(command)}"
        raise HostError(problem) from error
