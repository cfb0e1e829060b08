"""Functions of Node.js, against what an author would write by hand: amqplib, Node.js's own server, and node alone."""

import hashlib
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from stack import console
from stack.bench.environment import (
    NODEJS_PROGRAMS,
    PROGRAMS,
    BenchEnv,
    FunctionSpec,
    Measurements,
    amqp_trigger,
    find_port,
    http_trigger,
    run_processor,
)
from stack.bench.events import measure_events, open_queue
from stack.bench.program import Count, Program, run_command, run_program
from stack.bench.requests import listens, load, require_wrk
from stack.bench.rows import OWN, Figures
from stack.contract import NODEJS, PYTHON
from stack.run.provision.machine import install_package
from stack.state.workspace import write_file

_PREFETCH = 500
_PACKAGES = ("package.json", "package-lock.json")
# Seconds after which a process that does nothing has settled.
_SETTLED = 0.5
_BARE = ["node", "-e", "console.log('ready'); setInterval(() => 0, 1e9)"]


def require_node() -> None:
    """Install Node.js, unless it is here.

    Raises:
        HostError: it cannot be installed; the message says what to type.
    """
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            install_package({"node": "nodejs"}.get(name, name), "runs what functions of Node.js are measured against")


def _make_amqplib(folder: Path) -> Path:
    """Return the folder of packages, which are installed on the first call, and again when their pins change."""
    sources = [NODEJS_PROGRAMS / name for name in _PACKAGES]
    mark, digest = folder / "installed", hashlib.sha256(b"".join(one.read_bytes() for one in sources)).hexdigest()
    if not mark.is_file() or mark.read_text() != digest:
        for one in sources:
            write_file(folder / one.name, one.read_bytes())
        with console.working("Installing what functions of Node.js are measured against"):
            run_command(["npm", "ci", "--prefix", str(folder), "--no-audit", "--no-fund"])
        write_file(mark, digest.encode())
    return folder / "node_modules"


def open_nodejs_amqp(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare empty handlers with a consumer that acknowledges each message, and with events that are not sent ahead.

    Raises:
        HostError: Node.js is not here, and cannot be installed.
        StackError: amqplib cannot be installed.
    """
    require_node()
    packages = _make_amqplib(env.state / "references-nodejs")
    starts: dict[str, Callable[[str, Count], AbstractContextManager[Program]]] = {
        OWN: partial(_start_function, env),
        "one-by-one": partial(_start_function, env, entry=(str(PROGRAMS / "one_by_one.py"),)),
        "amqplib": partial(_start_amqplib, env, packages),
    }
    return {name: partial(measure_events, env, start, env.scale.messages) for name, start in starts.items()}


def _start_function(
    env: BenchEnv, queue: str, count: Count, entry: tuple[str, ...] = ("-m", "stack.processor")
) -> AbstractContextManager[Program]:
    function = FunctionSpec("count", {"queue": amqp_trigger(env.broker.amqp_url, queue)}, runtime=NODEJS)
    return run_processor(env, "function", function, entry, **count.environment)


def _start_amqplib(env: BenchEnv, packages: Path, queue: str, count: Count) -> AbstractContextManager[Program]:
    command = ["node", str(NODEJS_PROGRAMS / "amqplib_consumer.js"), env.broker.amqp_url, queue, str(_PREFETCH)]
    return run_program(command, env.scratch / "amqplib.log", NODE_PATH=str(packages), **count.environment)


def open_nodejs_http(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare an echo with that of Node.js's own server.

    Raises:
        HostError: Node.js or wrk is not here, and cannot be installed.
    """
    require_node()
    require_wrk()
    ports = {name: find_port() for name in (OWN, "node")}
    function = FunctionSpec("echo", {"http": http_trigger(ports[OWN])}, runtime=NODEJS)
    stack.enter_context(run_processor(env, "function", function))
    command = ["node", str(NODEJS_PROGRAMS / "http_echo.js"), str(ports["node"])]
    bare = stack.enter_context(run_program(command, env.scratch / "node.log"))
    bare.wait_until(lambda: listens(ports["node"]))

    def measure(name: str) -> Figures:
        return {"rate": load(f"http://127.0.0.1:{ports[name]}/", env.scale.seconds)}

    return {name: partial(measure, name) for name in ports}


def open_nodejs_idle(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare how long a function takes to be ready, and its memory then, with one of Python and a node that idles.

    Raises:
        HostError: Node.js is not here, and cannot be installed.
    """
    require_node()
    return {OWN: partial(_measure_idle, env, NODEJS), "both": partial(_measure_both, env)}


def _measure_idle(env: BenchEnv, runtime: str) -> Figures:
    url = env.broker.amqp_url
    with open_queue(url) as queue:
        triggers = {"queue": amqp_trigger(url, queue)}
        began = monotonic()
        with run_processor(env, "function", FunctionSpec("echo", triggers, runtime=runtime)) as program:
            seconds = monotonic() - began
            sleep(_SETTLED)
            return {"time": seconds, "pss": program.measure_memory()}


def _measure_both(env: BenchEnv) -> Figures:
    figures = _measure_idle(env, PYTHON)
    began = monotonic()
    run_command(["node", "-e", "0"])
    seconds = monotonic() - began
    with run_program(_BARE, env.scratch / "bare.log") as program:
        program.wait_for_line("ready")
        sleep(_SETTLED)
        return {"time": figures["time"] + seconds, "pss": figures["pss"] + program.measure_memory()}
