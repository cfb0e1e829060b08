"""The dashboard: how quickly it lists functions, and what it takes while many look at it and nothing happens."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stack.plan.bench import OWN, Figures
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.fleet import fleet
from stack.run.bench.http import listens, load, require_wrk
from stack.run.bench.port import find_port
from stack.run.bench.program import Program, run_program
from stack.run.workspace import PROGRAM, VARIABLE

_LISTED, _DEPLOYED, _PAGES = 100, 5, 100
_TOPICS = "stack,functions,history,broker,devices"
_LIST, _FILE = "/api/functions", "/static/app.css"
# What somebody looks at, and for how many seconds of load each, before memory is measured.
_LOOKED_AT, _LOOK_SECONDS = ("/", "/broker", "/devices", _LIST, _FILE), 1.0
# Seconds until all pages have been told everything, and for how many rounds' seconds they are watched then.
_SETTLED, _QUIET_ROUNDS = 5.0, 2
_STEP, _BLOCK = 0.5, 1 << 20
# What the dashboard may take: 120 MB, and a tenth of a core.
_MOST = {"pss": 120e6 / 1024**2, "cores": 0.1}


def open_list(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare the list of many functions with a static file of the same server.

    Raises:
        HostError: wrk is not here, and cannot be installed.
    """
    require_wrk()
    stack.enter_context(fleet(bed, _LISTED))
    address = f"http://127.0.0.1:{stack.enter_context(_run_dashboard(bed))[1]}"

    def measure(path: str) -> Figures:
        return {"time": 1000 / load(address + path, bed.scale.seconds)}

    return {OWN: lambda: measure(_LIST), "file": lambda: measure(_FILE)}


def open_pages(bed: Bed, stack: ExitStack) -> Contestants:
    """Measure what a hundred open pages take, when nothing happens, after some use; the rival is the limit."""
    require_wrk()
    stack.enter_context(fleet(bed, _DEPLOYED))
    bed.run_task("deploy-function", "--all")
    program, port = stack.enter_context(_run_dashboard(bed))

    def measure() -> Figures:
        for path in _LOOKED_AT:
            load(f"http://127.0.0.1:{port}{path}", _LOOK_SECONDS)
        with _open_pages(port) as pages:
            _read(pages, _SETTLED)
            began, before = time.monotonic(), _read_seconds(program)
            _read(pages, _QUIET_ROUNDS * bed.scale.seconds)
            cores = (_read_seconds(program) - before) / (time.monotonic() - began)
            return {"cores": cores, "pss": program.measure_memory()}

    return {OWN: measure, "limit": lambda: _MOST}


@contextmanager
def _run_dashboard(bed: Bed) -> Iterator[tuple[Program, int]]:
    """Run a dashboard of the bed's stack, as a process of this machine; yield it and its port."""
    port = find_port()
    command = [sys.executable, "-m", "stack.dashboard", "--port", str(port)]
    environment = {VARIABLE: str(bed.stack.workspace.root), "PYTHONPATH": str(PROGRAM)}
    with run_program(command, bed.scratch / "dashboard.log", **environment) as program:
        program.wait_until(lambda: listens(port))
        yield program, port


@contextmanager
def _open_pages(port: int) -> Iterator[list[socket.socket]]:
    """Open as many streams as so many pages would."""
    with ExitStack() as stack:
        pages = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(_PAGES)]
        for page in pages:
            page.sendall(f"GET /live?topics={_TOPICS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            page.setblocking(False)
        yield pages


def _read(pages: list[socket.socket], seconds: float) -> None:
    """Read what comes for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(_STEP)
        for page in pages:
            with suppress(BlockingIOError):
                page.recv(_BLOCK)


def _read_seconds(program: Program) -> float:
    """Return the time of the processor that a program has had."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
