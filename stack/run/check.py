"""Tests and checks of Tidegate itself."""

import subprocess
import sys

from stack import console
from stack.errors import StackError
from stack.run.test_tools import install_test_tools
from stack.run.workspace import PROGRAM

_UNIT = ("tests/unit", "tests/render")
_DOCKER = ("tests/docker", "tests/browser")
# A test that waits for real processes may wait in vain once while the machine is busy; twice is a failure. pytest's
# summary counts such reruns, and the proofs that nothing is lost allow none.
_PATIENCE = ("--reruns=1",)
# Most tests wait for processes rather than compute. The tests of a file stay together; tests/docker/conftest.py says
# which files begin.
_WORKERS = ("--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")
_CHAOS = ("tests/docker/test_chaos.py", "tests/docker/test_kill.py")
# Tests with this marker send odd messages.
_FUZZ = "fuzz"


def run_tests(*, unit: bool, docker: bool) -> int:
    """Run the tests without Docker, those with it, or all; return the exit status of pytest, whose word is the last.

    Raises:
        HostError: what the tests of the dashboard need cannot be installed.
    """
    chosen = (_UNIT if unit or not docker else ()) + (_DOCKER if docker or not unit else ())
    options = ["--no-docker-skip"] if _DOCKER[0] in chosen else []
    install_test_tools(browser=bool(options))
    return _run(sys.executable, "-m", "pytest", *_WORKERS, *_PATIENCE, *options, *chosen)


def run_chaos(*, minutes: float, seed: int, engine: bool = False) -> int:
    """Break things under a function's messages for as long as is wished; return the exit status of pytest.

    A seed of 0 is chosen by chance, and told. With `engine` this machine's Docker Engine is killed too.
    """
    options = [f"--chaos-minutes={minutes}", *([f"--chaos-seed={seed}"] if seed else [])]
    options += ["--chaos-engine"] if engine else []
    return _run(sys.executable, "-m", "pytest", "--no-docker-skip", *options, *_CHAOS)


def run_fuzz(*, minutes: float, seed: int) -> int:
    """Send odd messages and answers, the fuzzers sharing the minutes; return the exit status of pytest.

    A seed of 0 is chosen by chance, and told.
    """
    options = [f"--fuzz-minutes={minutes}", *([f"--fuzz-seed={seed}"] if seed else [])]
    return _run(sys.executable, "-m", "pytest", "--no-docker-skip", "--timeout=0", *options, "-m", _FUZZ, _DOCKER[0])


def run_checks() -> None:
    """Check style and types.

    Raises:
        StackError: something is to be mended.
    """
    checks = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
    failed = [" ".join(check) for check in checks if _run(sys.executable, "-m", *check)]
    if failed:
        raise StackError(f"To be mended: {', '.join(failed)}; the lines above say what.")
    console.success("Style and types are right.")


def _run(*command: str) -> int:
    return subprocess.run(command, cwd=PROGRAM, check=False).returncode
