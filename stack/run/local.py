"""A function on this machine without Docker: the same processor as a local process, reloaded as its files change."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from watchfiles import Change, watch

from stack import console
from stack.config.runtime import name_runtime
from stack.config.shared import SHARED
from stack.config.source import (
    FOLDER,
    IGNORED_FOLDERS,
    IGNORED_SUFFIX,
    Function,
    find_folder,
    load_function,
    read_configuration,
)
from stack.contract import HTTP_PORT, NODEJS
from stack.docker.stack import Stack, open_stack
from stack.errors import ConfigError, FunctionError
from stack.plan.account import function_account
from stack.plan.broker import MQTT_PORT
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.local import LocalPlan, plan_local
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.runtime.runtime import Runtime
from stack.plan.secret import Vault, check_secrets
from stack.rabbitmq.account import temporary_account
from stack.rabbitmq.management import find_broker
from stack.run.function import check_function_queues
from stack.run.node_modules import NAME as NODE_MODULES
from stack.run.node_modules import write_node_modules
from stack.state.source.source import Store
from stack.state.workspace import PROGRAM, open_workspace, write_file

_HOST = "127.0.0.1"
_PRIVATE = 0o600
_SECRETS = "secrets"
# After so long without a change it is looked whether the function has ended.
_LOOK_MILLISECONDS = 100
_CONNECT_SECONDS = 0.5
_END_SECONDS = 15.0


@dataclass(frozen=True)
class LocalRequest:
    """How to run a function here; with an event, a file's name or `-`, it handles that one and ends."""

    port: int
    """0 is the port that the function asks for, or a free one."""
    broker: str
    """Empty is the stack's own, if it is up."""
    event: str
    debugs: bool = False
    """Whether it listens for a debugger; with an event it waits for that."""


def run_function(name: str, request: LocalRequest) -> int:
    """Run a function until Ctrl-C, or for one event; return the exit status.

    Raises:
        StackError: the function is wrong, or nothing could call it here.
    """
    stack = open_stack()
    function = Store(stack.workspace, stack.settings, load_function(find_folder(stack.workspace.root, name))).fetch()
    if request.debugs:
        _check_debugger(function)
    _write_modules(stack, function)
    return _handle_one(stack, function, request=request) if request.event else LocalRun(stack, function, request).run()


def _handle_one(stack: Stack, function: Function, *, request: LocalRequest) -> int:
    plan = _plan(stack, function)
    folder = stack.workspace.root / function.context
    event = request.event if request.event == "-" else str(Path(request.event).resolve())
    broker_url, mqtt_port = request.broker or _find_url(stack, plan), _find_mqtt_port(stack, request)
    local = plan_local(plan, _find_vault(stack), port=0, broker_url=broker_url, mqtt_port=mqtt_port)
    with temporary_account(stack, plan), _prepared(local) as home:
        command = [*_command(home, folder), "--event", event]
        if request.debugs:
            command += ["--debug-port", str(_choose_debug_port(plan.runtime, ()))]
        return subprocess.run(command, cwd=folder, env=_environment(folder), check=False).returncode


class LocalRun:
    """A function that runs here, and its files, which are watched."""

    def __init__(self, stack: Stack, function: Function, request: LocalRequest) -> None:
        self._stack = stack
        self._folder = stack.workspace.root / function.folder
        self._code = stack.workspace.root / function.context
        self._port = request.port
        self._given_url = request.broker
        self._debugs = request.debugs
        self._debug_port = 0
        self._has_broker = _is_broker_running(stack)
        self._mqtt_port = _find_mqtt_port(stack, request)
        shared = stack.workspace.root / FOLDER / SHARED
        self._changes = _watch({self._folder, self._code, *([shared] if shared.is_dir() else [])})
        self._configuration: object = None

    def run(self) -> int:
        """Run the function, again whenever its configuration has changed; return the exit status."""
        # So that what is started here ends with this process.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # What is started here inherits it: a file that is saved before the processor takes the signal does not end it,
        # and is loaded anyway, as that is done later.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        # From here on a change counts, also one that comes while the function starts.
        next(self._changes)
        plan = self._plan()
        self._tell(plan)
        try:
            while True:
                with self._account(), _prepared(plan) as home, self._started(home, plan) as process:
                    status = self._follow(process)
                if status is not None:
                    return status
                plan = self._plan_again()
        except KeyboardInterrupt:
            return 0

    def _plan(self) -> LocalPlan:
        self._configuration = _read_configuration(self._folder)
        own = load_function(self._folder)
        function = Store(self._stack.workspace, self._stack.settings, own).recall()
        plan = self._function = _plan(self._stack, function)
        self._port = self._port or _choose_port(plan.port or HTTP_PORT)
        vault = _find_vault(self._stack)
        url = self._given_url or (_find_url(self._stack, plan) if self._has_broker else "")
        return plan_local(plan, vault, port=self._port, broker_url=url, mqtt_port=self._mqtt_port)

    def _account(self) -> AbstractContextManager[None]:
        return temporary_account(self._stack, self._function) if self._has_broker else nullcontext()

    def _plan_again(self) -> LocalPlan:
        """Return what the changed function.yaml comes to; wait for its next change while it is wrong."""
        while True:
            try:
                return self._plan()
            except ConfigError as error:
                console.warn(str(error))
            while not next(self._changes):
                pass

    def _tell(self, plan: LocalPlan) -> None:
        name = self._folder.name
        if plan.dropped:
            console.warn(
                f"{', '.join(plan.dropped)}: left out, since the stack's broker is not up. "
                "`invoke up` starts it; --broker URL names another."
            )
        if not plan.triggers:
            raise FunctionError(f"Nothing could call {name} here: it has no other trigger.")
        if plan.has_http:
            console.say(f"{name} answers at http://{_HOST}:{self._port}")
        console.note(f"It is loaded again when a file in {self._code} is saved. Ctrl-C ends it.")

    @contextmanager
    def _started(self, home: Path, plan: LocalPlan) -> Iterator["subprocess.Popen[bytes]"]:
        command = [*_command(home, self._code), "--reload", "--health-port", "0", "--metrics-port", "0"]
        if self._debugs:
            self._debug_port = self._debug_port or _choose_debug_port(self._function.runtime, plan.triggers)
            command += ["--debug-port", str(self._debug_port)]
        process = subprocess.Popen(command, cwd=self._code, env=_environment(self._code))
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _follow(self, process: "subprocess.Popen[bytes]") -> int | None:
        """Pass changes on; return the exit status, or None where the configuration has changed."""
        while process.poll() is None:
            if next(self._changes):
                if _read_configuration(self._folder) != self._configuration:
                    return None
                _write_modules(self._stack, self._function.function)
                process.send_signal(signal.SIGUSR1)
        return process.returncode


def _plan(stack: Stack, function: Function) -> FunctionPlan:
    plan = plan_function(function, stack.settings)
    check_secrets([plan], stack.vault)
    check_function_queues(stack, plan)
    return plan


def _write_modules(stack: Stack, function: Function) -> None:
    if name_runtime(function.config.spec.runtime) == NODEJS:
        write_node_modules(stack.workspace)


def _command(home: Path, folder: Path) -> list[str]:
    # With -P no file of the function stands in for a module of the processor's.
    command = [sys.executable, "-P", "-m", "stack.processor", "--config", str(home / "processor.yaml")]
    shared = open_workspace().root / FOLDER / SHARED
    return [*command, "--secrets", str(home / _SECRETS), "--folder", str(folder), "--shared", str(shared)]


def _environment(folder: Path) -> dict[str, str]:
    """Return the processor's environment, for a function whose code is in a folder.

    A compiled file would be taken for the one that was saved twice in a second. By NODE_PATH what is shared finds the
    packages of the function, as it does in an image, and code that was fetched finds what is shared.
    """
    node_path = f"{folder / NODE_MODULES}:{open_workspace().root / FOLDER / NODE_MODULES}"
    python = {"PYTHONPATH": str(PROGRAM), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **python, "NODE_PATH": node_path}


@contextmanager
def _prepared(plan: LocalPlan) -> Iterator[Path]:
    """Write what the processor reads into a folder that only its owner can read."""
    with tempfile.TemporaryDirectory(prefix="tidegate-") as name:
        home = Path(name)
        write_file(home / "processor.yaml", plan.document.encode(), _PRIVATE)
        for file_name, content in plan.secrets.items():
            write_file(home / _SECRETS / file_name, content.get_secret_value(), _PRIVATE)
        yield home


def _read_configuration(folder: Path) -> object:
    """Return what function.yaml and the source say, or what is wrong with it."""
    try:
        return read_configuration(folder)
    except ConfigError as error:
        return error.problems


def _watch(folders: Collection[Path]) -> Iterator[Collection[tuple[Change, str]]]:
    """Yield the changes of files that could matter; nothing when there is none for a moment."""
    return watch(*folders, watch_filter=_matters, rust_timeout=_LOOK_MILLISECONDS, yield_on_timeout=True)


def _matters(_: Change, path: str) -> bool:
    return not path.endswith(IGNORED_SUFFIX) and IGNORED_FOLDERS.isdisjoint(Path(path).parts)


def _find_vault(stack: Stack) -> Vault:
    """Return the secrets as a function on this machine has them: it finds the store of readings at its port here."""
    return replace(stack.vault, store_address=(stack.settings.host, stack.settings.ports.data))


def _find_url(stack: Stack, plan: FunctionPlan) -> str:
    """Return the URL of the stack's broker for a function's own account."""
    broker = find_broker(stack)
    return function_account(stack.vault.key, plan.name).url(broker.host, broker.amqp_port)


def _is_broker_running(stack: Stack) -> bool:
    broker = find_broker(stack)
    try:
        with socket.create_connection((broker.host, broker.amqp_port), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _find_mqtt_port(stack: Stack, request: LocalRequest) -> int:
    """Return where the broker speaks MQTT; one that --broker names does at the usual port."""
    return MQTT_PORT if request.broker else find_broker(stack).mqtt_port


def _choose_port(wanted: int) -> int:
    """Return a port, or, where that is taken, a free one."""
    for port in (wanted, 0):
        try:
            with socket.create_server((_HOST, port)) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    return wanted


def _check_debugger(function: Function) -> None:
    package = RUNTIMES[name_runtime(function.config.spec.runtime)].debug_package
    if package and not find_spec(package):
        raise FunctionError(
            f"--debug needs {package}: type `{sys.executable} -m pip install {package}`, then this again."
        )


def _choose_debug_port(runtime: Runtime, triggers: Sequence[str]) -> int:
    """Return where the first worker listens for a debugger, and say where all do."""
    port = _choose_port(runtime.debug_port)
    places = [f"{_HOST}:{port + number} ({name})" for number, name in enumerate(triggers)]
    where = " and ".join(places) if len(places) > 1 else f"{_HOST}:{port}"
    console.say(f"A debugger may attach to {where}: {runtime.debuggers.format(address=f'{_HOST}:{port}')}.")
    return port
