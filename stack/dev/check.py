"""Tests and checks of Tidegate itself, and what they need."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stack import console
from stack.dev.reference import write_pages
from stack.errors import HostError, StackError
from stack.run.provision.machine import install_package
from stack.state.workspace import PROGRAM

_LOCK = PROGRAM / "tests" / "requirements.lock"
_CHROMIUM = "chromium"
_OF_DEVICES = {"mosquitto_pub": "mosquitto-clients", "micropython": "micropython", "npm": "npm"}


def install_test_tools(*, browser: bool, node: bool = False, devices: bool = False) -> None:
    """Install the packages, unless the lock is that of last time; the other programs only where they are wanted.

    Raises:
        HostError: something cannot be installed; the message says what to type.
    """
    install_packages(_LOCK, Path(sys.prefix))
    if browser and not shutil.which(_CHROMIUM):
        install_package(_CHROMIUM, "shows the dashboard to its tests")
    if browser and not shutil.which("pasta"):
        # Ubuntu has it since 23.04; without it networks that come and go disturb the browser now and then.
        with suppress(HostError):
            install_package("passt", "gives the browser of the tests a network of its own")
    if node and not shutil.which("node"):
        install_package("nodejs", "runs the functions of the tests that are JavaScript")
    for program, package in _OF_DEVICES.items():
        if devices and not shutil.which(program):
            install_package(package, "runs a program of a device in the tests")


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


_UNIT = ("tests/unit", "tests/render")
_PROCESS = "tests/process"
_CHECKS = "tests/checks"
_DOCKER = ("tests/docker", "tests/browser")
# Most tests wait for processes rather than compute. The tests of a file stay together; tests/docker/conftest.py says
# which files begin.
_WORKERS = ("--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")
_CHAOS = ("tests/docker/test_chaos.py", "tests/docker/test_kill.py")
# On machines that are namespaces of this one.
_SWARM = "tests/swarm"
# Tests with this marker send odd messages.
_FUZZ = "fuzz"
# Python's own monitoring, since 3.12, counts lines at a tenth of the price of tracing them.
_CAN_MONITOR = sys.version_info >= (3, 12)
_MODULE = (sys.executable, "-m")
# Material says at each start what is to come after MkDocs.
_QUIET = {"NO_MKDOCS_2_WARNING": "1"}


@dataclass(frozen=True)
class Selection:
    """Which tests to run; all if neither `unit` nor `docker` is asked for, nor a path among pytest's arguments."""

    unit: bool = False
    docker: bool = False
    slow: bool = False
    """The tests too that take long."""
    last_failed: bool = False
    arguments: Sequence[str] = ()
    """Passed on to pytest."""

    def find_paths(self) -> tuple[str, ...]:
        """Return the files and folders of tests; none where the arguments name their own."""
        if any((PROGRAM / argument.partition("::")[0]).exists() for argument in self.arguments):
            return ()
        if self.unit == self.docker:
            return (*_UNIT, _PROCESS, _CHECKS, *_DOCKER)
        return _UNIT if self.unit else _DOCKER

    def build_options(self) -> list[str]:
        """Return pytest's options: how it runs, what it measures, and what the user adds."""
        options = list(_WORKERS)
        if self.find_paths() and not self.unit:
            options.append("--no-docker-skip")
        # It takes a third more time, and the rest adds hardly a line: it runs elsewhere.
        if _CAN_MONITOR and self.unit:
            options += ["--cov=stack", "--cov-report=term"]
        if self.slow:
            options.append("--slow")
        if self.last_failed:
            options.append("--last-failed")
        return [*options, *self.arguments]


@dataclass(frozen=True)
class Check:
    """A program that looks at the repository, and how it mends what it finds, if it can."""

    name: str
    command: Sequence[str]
    fix: Sequence[str] = ()

    def run(self, *, fix: bool = False) -> bool:
        """Return whether nothing is to be mended; what is, is printed."""
        return _run(*(self.fix if fix and self.fix else self.command), environment=_QUIET) == 0


_BUILD_DOCS = (*_MODULE, "mkdocs", "build", "--strict")
_SHELLCHECK = str(Path(sys.executable).with_name("shellcheck"))
# The examples are Tidegate's; other functions beside them are their author's, and judged by no one.
_EXAMPLES = tuple(
    f"functions/{name}" for name in ("amqpconsume", "amqpevent", "mqttconsume", "mqttevent", "temperaturealert")
)
CHECKS = (
    Check("style", (*_MODULE, "ruff", "check", ".", *_EXAMPLES), (*_MODULE, "ruff", "check", "--fix", ".", *_EXAMPLES)),
    Check(
        "format",
        (*_MODULE, "ruff", "format", "--check", ".", *_EXAMPLES),
        (*_MODULE, "ruff", "format", ".", *_EXAMPLES),
    ),
    Check("types", (*_MODULE, "mypy")),
    Check("imports", (str(Path(sys.executable).with_name("lint-imports")), "--no-logo")),
    Check("spelling", (*_MODULE, "codespell_lib"), (*_MODULE, "codespell_lib", "--write-changes")),
    Check("shell scripts", (_SHELLCHECK, "bootstrap", ".ci/run")),
    Check("documentation", (*_BUILD_DOCS, "--quiet")),
)


def run_tests(selection: Selection) -> int:
    """Run tests; return the exit status of pytest, whose word is the last.

    Raises:
        HostError: what the tests need cannot be installed.
    """
    paths = selection.find_paths()
    install_test_tools(browser=_DOCKER[1] in paths, node=_PROCESS in paths, devices=_DOCKER[0] in paths)
    command = (*_MODULE, "pytest", *selection.build_options(), *paths)
    return _run(*command, environment={"COVERAGE_CORE": "sysmon"})


def run_chaos(arguments: Sequence[str] = (), *, minutes: float, seed: int, engine: bool = False) -> int:
    """Break things under a function's messages for as long as is wished; return the exit status of pytest.

    A seed of 0 is chosen by chance, and told. With `engine` this machine's Docker Engine is killed too.
    """
    options = [f"--chaos-minutes={minutes}", *([f"--chaos-seed={seed}"] if seed else [])]
    options += ["--chaos-engine"] if engine else []
    return _run(*_MODULE, "pytest", "--no-docker-skip", *options, *arguments, *_CHAOS)


def run_fuzz(arguments: Sequence[str] = (), *, minutes: float, seed: int) -> int:
    """Send odd messages and answers, the fuzzers sharing the minutes; return the exit status of pytest.

    A seed of 0 is chosen by chance, and told.
    """
    options = [f"--fuzz-minutes={minutes}", *([f"--fuzz-seed={seed}"] if seed else [])]
    options += ["--no-docker-skip", "--slow", "--timeout=0", "-m", _FUZZ]
    return _run(*_MODULE, "pytest", *options, *arguments, _DOCKER[0])


def run_swarm(arguments: Sequence[str] = (), *, slow: bool) -> int:
    """Run the tests on machines of their own, those too that take long if asked for; return pytest's exit status.

    Raises:
        HostError: what the tests need cannot be installed.
    """
    install_test_tools(browser=False)
    # They wait for machines to be missed and to come back; each worker has three of its own.
    options = ("--numprocesses=2", *_WORKERS[1:], *(["--slow"] if slow else []))
    return _run(*_MODULE, "pytest", *options, *arguments, _SWARM)


def run_checks(*, fix: bool = False) -> None:
    """Check style, types, spelling and documentation; with `fix`, mend first what can be mended.

    Raises:
        HostError: a program that checks cannot be installed.
        StackError: something is to be mended.
    """
    install_test_tools(browser=False)
    failed = [check.name for check in CHECKS if not check.run(fix=fix)]
    if failed:
        raise StackError(f"To be mended: {', '.join(failed)}; the lines above say what.")
    console.success("Style, types, spelling and documentation are right.")


def build_docs() -> int:
    """Build the documentation into .site/, warnings being errors; return the exit status.

    Raises:
        HostError: what builds it cannot be installed.
    """
    install_test_tools(browser=False)
    _write_reference()
    return _run(*_BUILD_DOCS, environment=_QUIET)


def serve_docs(port: int) -> int:
    """Serve the documentation at a port of this machine until Ctrl-C; return the exit status.

    Raises:
        HostError: what builds it cannot be installed.
    """
    install_test_tools(browser=False)
    _write_reference()
    return _run(*_MODULE, "mkdocs", "serve", "--dev-addr", f"127.0.0.1:{port}", environment=_QUIET)


def _write_reference() -> None:
    for page in write_pages(PROGRAM):
        console.say(f"{page.relative_to(PROGRAM)} was stale, and is written again.")


def _run(*command: str, environment: Mapping[str, str] | None = None) -> int:
    return subprocess.run(command, cwd=PROGRAM, env=os.environ | (environment or {}), check=False).returncode
