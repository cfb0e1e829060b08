"""HTTP requests per second, by wrk; all servers are local processes with one worker, and run side by side."""

import re
import shutil
import socket
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from stack.errors import StackError
from stack.plan.bench import OWN, Figures
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.port import find_port
from stack.run.bench.processor import FunctionSpec, http_trigger, run_processor
from stack.run.bench.program import Program, run_command, run_program
from stack.run.bench.reference import PROGRAMS
from stack.run.provision.package import install_package

_CONNECTIONS = 16
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
# wrk tells these where an answer was not what it should be.
_TROUBLES = ("Non-2xx", "Socket errors")


def open_http(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare echoes.

    Raises:
        HostError: wrk is not here, and cannot be installed.
    """
    require_wrk()
    ports: dict[str, int] = {}

    def measure(name: str) -> Figures:
        if name not in ports:
            port = find_port()
            stack.enter_context(_start(bed, name, port)).wait_until(lambda: listens(port))
            ports[name] = port
        return {"rate": load(f"http://127.0.0.1:{ports[name]}/", bed.scale.seconds)}

    return {name: partial(measure, name) for name in (OWN, "uvicorn", "functions-framework")}


def _start(bed: Bed, name: str, port: int) -> AbstractContextManager[Program]:
    if name == OWN:
        return run_processor(bed, "function", FunctionSpec("echo", {"http": http_trigger(port)}))
    module = ["-m", "uvicorn", "uvicorn_echo:app", "--app-dir", str(PROGRAMS)]
    module += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    if name == "functions-framework":
        source = str(PROGRAMS / "functions_echo.py")
        module = ["-m", "functions_framework", "--source", source, "--target", "echo", "--port", str(port)]
    return run_program([str(bed.references), *module], bed.scratch / f"{name}.log")


def require_wrk() -> None:
    """Install what makes the load, unless it is here.

    Raises:
        HostError: it cannot be installed; the message says what to type.
    """
    if shutil.which("wrk") is None:
        install_package("wrk", "makes the load of HTTP")


def load(url: str, seconds: float) -> float:
    """Return the requests per second, of clients that stay connected.

    Raises:
        StackError: an answer was an error.
    """
    options = [f"--connections={_CONNECTIONS}", "--threads=1", f"--duration={max(1, round(seconds))}s"]
    answer = run_command(["wrk", *options, url])
    rate = _RATE.search(answer)
    if not rate or any(trouble in answer for trouble in _TROUBLES):
        raise StackError(f"wrk met errors:\n{answer.strip()}")
    return float(rate[1])


def listens(port: int) -> bool:
    """Say whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))
