"""HTTP requests per second, by wrk; all servers are local processes with one worker, and run side by side."""

import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial

import psutil
import yaml

from stack.bench.environment import (
    PROGRAMS,
    BenchEnv,
    FunctionSpec,
    Measurements,
    find_port,
    http_trigger,
    run_processor,
)
from stack.bench.program import Program, run_command, run_program
from stack.bench.rows import OWN, Figures
from stack.bench.start import run_container
from stack.bench.tasks import fleet
from stack.docker.driver import Driver
from stack.errors import StackError
from stack.plan import gateway
from stack.plan.function import image_repository, service_name
from stack.plan.stack_image import gateway_image
from stack.run.provision.machine import install_package
from stack.state.workspace import PROGRAM, VARIABLE, write_file

_CONNECTIONS = 16
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
# wrk tells these where an answer was not what it should be.
_TROUBLES = ("Non-2xx", "Socket errors")


def open_http(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare echoes.

    Raises:
        HostError: wrk is not here, and cannot be installed.
    """
    require_wrk()
    ports: dict[str, int] = {}

    def measure(name: str) -> Figures:
        if name not in ports:
            port = find_port()
            stack.enter_context(_start(env, name, port=port)).wait_until(lambda: listens(port))
            ports[name] = port
        return {"rate": load(f"http://127.0.0.1:{ports[name]}/", env.scale.seconds)}

    return {name: partial(measure, name) for name in (OWN, "uvicorn", "functions-framework")}


def _start(env: BenchEnv, name: str, *, port: int) -> AbstractContextManager[Program]:
    if name == OWN:
        return run_processor(env, "function", FunctionSpec("echo", {"http": http_trigger(port)}))
    module = ["-m", "uvicorn", "uvicorn_echo:app", "--app-dir", str(PROGRAMS)]
    module += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    if name == "functions-framework":
        source = str(PROGRAMS / "functions_echo.py")
        module = ["-m", "functions_framework", "--source", source, "--target", "echo", "--port", str(port)]
    return run_program([str(env.references), *module], env.scratch / f"{name}.log")


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
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


# No function of the user's: its images are removed at the end.
_NAME = "tidegate-bench-gateway"
_CODE = b"def handler(context, event):\n    return event.body\n"
_PLAIN_FILE = "/etc/plain.cfg"


def open_gateway(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare the gateway with a plain HAProxy before the same worker, all within Docker's network.

    A published port is left out of both: its proxy takes as much of a core as the worker or the gateway.

    Raises:
        HostError: wrk is not here, and cannot be installed.
    """
    require_wrk()
    root = env.stack.workspace.root
    spec = {"handler": "main:handler", "triggers": {"web": http_trigger(gateway.PORT)}}
    write_file(root / "functions" / _NAME / "function.yaml", yaml.safe_dump({"spec": spec}).encode())
    write_file(root / "functions" / _NAME / "main.py", _CODE)
    env.run_task("deploy-function", _NAME)
    stack.callback(_forget, env)
    addresses = _find_addresses(env)
    places = {
        OWN: addresses[gateway.SERVICE],
        "plain": stack.enter_context(_run_plain(env, addresses[service_name(_NAME)])),
    }

    def measure(name: str) -> Figures:
        # The worker takes any path.
        return {"rate": load(f"http://{places[name]}:{gateway.PORT}/{_NAME}/", env.scale.seconds)}

    return {name: partial(measure, name) for name in places}


@contextmanager
def _run_plain(env: BenchEnv, worker: str) -> Iterator[str]:
    """Run a HAProxy with one server, of the gateway's image; yield its address in Docker's network."""
    arguments = ["--network", env.network, "--env", f"WORKER={worker}"]
    arguments += ["--volume", f"{PROGRAMS / 'haproxy.cfg'}:{_PLAIN_FILE}:ro", gateway_image(env.stack.inputs)]
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    with run_container([*arguments, "haproxy", "-f", _PLAIN_FILE]) as name:
        yield run_command(["docker", "inspect", "--format", template, name]).strip()


def _find_addresses(env: BenchEnv) -> dict[str, str]:
    """Return the address of each service in Docker's network."""
    return {one.service: one.network_address for one in env.stack.engine.containers() if one.network_address}


def _forget(env: BenchEnv) -> None:
    env.run_task("delete-function", _NAME, "--yes")
    Driver(env.stack.engine).remove_images([f"{image_repository(_NAME)}:latest"])


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


def open_list(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare the list of many functions with a static file of the same server.

    Raises:
        HostError: wrk is not here, and cannot be installed.
    """
    require_wrk()
    stack.enter_context(fleet(env, _LISTED))
    address = f"http://127.0.0.1:{stack.enter_context(_run_dashboard(env))[1]}"

    def measure(path: str) -> Figures:
        return {"time": 1000 / load(address + path, env.scale.seconds)}

    return {OWN: lambda: measure(_LIST), "file": lambda: measure(_FILE)}


def open_pages(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Measure what a hundred open pages take, when nothing happens, after some use; the reference is the limit."""
    require_wrk()
    stack.enter_context(fleet(env, _DEPLOYED))
    env.run_task("deploy-function", "--all")
    program, port = stack.enter_context(_run_dashboard(env))

    def measure() -> Figures:
        for path in _LOOKED_AT:
            load(f"http://127.0.0.1:{port}{path}", _LOOK_SECONDS)
        with _open_pages(port) as pages:
            _read(pages, _SETTLED)
            began, before = time.monotonic(), _read_seconds(program)
            _read(pages, _QUIET_ROUNDS * env.scale.seconds)
            cores = (_read_seconds(program) - before) / (time.monotonic() - began)
            return {"cores": cores, "pss": program.measure_memory()}

    return {OWN: measure, "limit": lambda: _MOST}


@contextmanager
def _run_dashboard(env: BenchEnv) -> Iterator[tuple[Program, int]]:
    """Run a dashboard of the bed's stack, as a process of this machine; yield it and its port."""
    port = find_port()
    command = [sys.executable, "-m", "stack.dashboard", "--port", str(port)]
    environment = {VARIABLE: str(env.stack.workspace.root), "PYTHONPATH": str(PROGRAM)}
    with run_program(command, env.scratch / "dashboard.log", **environment) as program:
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
    times = psutil.Process(program.process.pid).cpu_times()
    return float(times.user + times.system)
