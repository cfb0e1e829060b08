"""run-function: a function without Docker, as its author works on it."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.ports import free_port
from tests.process.processor.running import PATIENCE, ROOT, wait_for

HANDLER = "def handler(context, event):\n    return '{answer}'\n"
# Tells in a file that it has begun.
SLOW = """
import pathlib, time

def handler(context, event):
    pathlib.Path("{path}").touch()
    time.sleep(1.0)
    return "slow"
"""
JAVASCRIPT = "exports.handler = (context, event) => {{ context.callback('{answer}'); }};\n"
SENSORS = "spec: {triggers: {sensors: {kind: rabbit-mq, attributes: {exchangeName: e, topics: [a]}}}}"


@dataclass(frozen=True)
class Home:
    """A workspace with one function, thermo, and no stack."""

    root: Path
    log: Path

    @property
    def folder(self) -> Path:
        return self.root / "functions" / "thermo"

    def write(self, code: str, name: str = "main.py") -> None:
        (self.folder / name).write_text(code)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "run-function", "thermo", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TIDEGATE_WORKSPACE": str(self.root)}

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                self.command(*arguments), cwd=self.root, env=self.environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def ask(self, port: int) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        with closing(connection), suppress(OSError):
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        return ""

    def wait_for_answer(self, port: int, answer: str) -> None:
        wait_for(lambda: self.ask(port) == answer)


needs_node = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path, tmp_path / "log.txt")
    home.folder.mkdir(parents=True)
    ports = {name: free_port() for name in ("amqp", "mqtt", "management", "metrics")}
    (tmp_path / "stack.yaml").write_text(json.dumps({"project": "local", "ports": ports}))
    home.write("{}", "function.yaml")
    home.write(HANDLER.format(answer="one"))
    return home


def test_handler_is_loaded_again_when_it_was_saved(home: Home) -> None:
    port = free_port()
    with home.running("--port", str(port)):
        wait_for(lambda: home.ask(port) == "one")
        for answer in ("two", "six", "ten"):
            time.sleep(0.5)
            home.write(HANDLER.format(answer=answer))
            home.wait_for_answer(port, answer)
    assert f"thermo answers at http://127.0.0.1:{port}" in home.log.read_text()
    assert not list(home.folder.rglob("__pycache__"))


def test_request_in_progress_is_finished_when_a_file_is_saved(home: Home) -> None:
    port = free_port()
    began = home.root / "began"
    home.write(SLOW.format(path=str(began)))
    with home.running("--port", str(port)):
        wait_for(lambda: home.ask(port))
        began.unlink()
        asking = subprocess.Popen(
            [sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}').read())"],
            stdout=subprocess.PIPE,
            env={**os.environ, "no_proxy": "*"},
        )
        wait_for(began.exists)
        home.write(HANDLER.format(answer="new"))
        assert asking.communicate(timeout=PATIENCE)[0] == b"b'slow'\n"
        wait_for(lambda: home.ask(port) == "new")


def test_mistake_is_shown_and_mended_by_the_next_save(home: Home) -> None:
    port = free_port()
    with home.running("--port", str(port)) as process:
        wait_for(lambda: home.ask(port) == "one")
        home.write("def handler(context, event)\n")
        wait_for(lambda: "SyntaxError" in home.log.read_text())
        home.write(HANDLER.format(answer="two"))
        wait_for(lambda: home.ask(port) == "two")
        home.write("spec: {handler: 7}", "function.yaml")
        wait_for(lambda: "functions/thermo/function.yaml: spec.handler" in home.log.read_text())
        home.write("def entry(context, event):\n    return 'three'\n", "other.py")
        home.write("spec: {handler: 'other:entry'}", "function.yaml")
        wait_for(lambda: home.ask(port) == "three")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert home.ask(port) == ""


def test_mistake_at_the_start_waits_for_a_save_too(home: Home) -> None:
    port = free_port()
    home.write("import module_that_nobody_has\n")
    with home.running("--port", str(port)):
        wait_for(lambda: "module_that_nobody_has" in home.log.read_text())
        home.write(HANDLER.format(answer="mended"))
        wait_for(lambda: home.ask(port) == "mended")


def test_file_that_is_saved_while_it_starts_does_not_end_it(home: Home) -> None:
    port = free_port()
    with home.running("--port", str(port)) as process:
        wait_for(lambda: find_processor(process.pid)).send_signal(signal.SIGUSR1)
        home.wait_for_answer(port, "one")


def find_processor(pid: int) -> psutil.Process | None:
    """Return the processor that a process has started."""
    with suppress(psutil.Error):
        return next((one for one in psutil.Process(pid).children() if "stack.processor" in one.cmdline()), None)
    return None


def test_without_a_broker_only_http_is_there(home: Home) -> None:
    port = free_port()
    home.write(SENSORS, "function.yaml")
    with home.running("--port", str(port)):
        wait_for(lambda: home.ask(port) == "one")
    assert "sensors: left out, since the stack's broker is not up. `invoke up` starts it" in home.log.read_text()
    home.write(SENSORS.replace("spec: {", "spec: {disableDefaultHTTPTrigger: true, "), "function.yaml")
    result = home.run()
    assert result.returncode == 1
    assert "Nothing could call thermo here" in result.stderr


def test_one_event_from_a_file_or_standard_input(home: Home) -> None:
    home.write(
        "def handler(context, event):\n    print('printed')\n    context.logger.info('logged')\n"
        "    answer = {'got': event.body, 'path': event.path}\n"
        "    return context.Response(body=answer, status_code=event.fields['status'])\n"
    )
    event = {"body": {"n": 1}, "path": "/a", "fields": {"status": 201}}
    (home.root / "event.json").write_text(json.dumps(event))
    result = home.run("--event", "event.json")
    assert (result.returncode, json.loads(result.stdout)) == (0, {"got": {"n": 1}, "path": "/a"})
    assert re.search(r"printed\n.*logged.*\n(.*\n)?status 201", result.stderr)
    result = home.run("--event", "-", given=json.dumps(event | {"fields": {"status": 404}}))
    assert (result.returncode, json.loads(result.stdout)["path"]) == (1, "/a")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[1]", "should be an object such as"),
        ("{", "not JSON"),
        ('{"bdoy": 1}', "an event has no bdoy; attributes: body"),
        ('{"body_encoding": "base64", "body": "?"}', "-: "),
    ],
)
def test_event_that_is_none_is_refused(home: Home, given: str, message: str) -> None:
    result = home.run("--event", "-", given=given)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_handler_that_raises_answers_500(home: Home) -> None:
    home.write("def handler(context, event):\n    raise ValueError('as asked')\n")
    result = home.run("--event", "-", given="{}")
    assert result.returncode == 1
    assert 'Exception caught in handler - "as asked"' in result.stdout


@pytest.fixture
def node_home(home: Home) -> Home:
    (home.folder / "main.py").unlink()
    home.write("spec: {runtime: nodejs, outputs: {alerts: {kind: mqtt, topic: a}}}", "function.yaml")
    home.write(JAVASCRIPT.format(answer="one"), "main.js")
    return home


@needs_node
def test_handler_of_node_js_is_loaded_again_when_it_was_saved(node_home: Home) -> None:
    port = free_port()
    with node_home.running("--port", str(port)):
        node_home.wait_for_answer(port, "one")
        node_home.write("exports.handler = (\n", "main.js")
        wait_for(lambda: "SyntaxError" in node_home.log.read_text())
        node_home.write(JAVASCRIPT.format(answer="two"), "main.js")
        node_home.wait_for_answer(port, "two")


SHARED = {"python": "plant/__init__.py", "nodejs": "plant.js"}
CODE_OF_SHARED = {"python": "NAME = '{name}'\n", "nodejs": "exports.NAME = '{name}';\n"}
USES_SHARED = {
    "python": ("main.py", "import plant\n\ndef handler(context, event):\n    return plant.NAME\n"),
    "nodejs": (
        "main.js",
        "const { NAME } = require('plant');\nexports.handler = (context) => context.callback(NAME);\n",
    ),
}


@pytest.mark.parametrize("runtime", ["python", pytest.param("nodejs", marks=needs_node)])
def test_what_is_shared_is_imported_and_loaded_again(home: Home, runtime: str) -> None:
    port, path = free_port(), home.root / "functions" / ".shared" / SHARED[runtime]
    path.parent.mkdir(parents=True)
    path.write_text(CODE_OF_SHARED[runtime].format(name="oven"))
    (home.folder / "main.py").unlink()
    if runtime == "nodejs":
        # What is shared requires a package of the function.
        packages = home.folder / "node_modules"
        packages.mkdir()
        (packages / "dep.js").touch()
        path.write_text(f"require('dep');\n{path.read_text()}")
    name, code = USES_SHARED[runtime]
    home.write(code, name)
    home.write(f"spec: {{runtime: {runtime}}}", "function.yaml")
    assert home.run("--event", "-", given="{}").stdout == "oven\n"
    with home.running("--port", str(port)):
        home.wait_for_answer(port, "oven")
        path.write_text(CODE_OF_SHARED[runtime].format(name="pump"))
        home.wait_for_answer(port, "pump")


@needs_node
def test_one_event_for_node_js(node_home: Home) -> None:
    node_home.write(
        "exports.handler = (context, event) => {\n  context.outputs.alerts.send({ got: event.body.toString() });\n"
        "  console.log('printed');\n  context.logger.info('logged');\n"
        "  context.callback([event.fields.status, { path: event.path }]);\n};\n",
        "main.js",
    )
    event = {"body": "hot", "path": "/a", "fields": {"status": 404}}
    result = node_home.run("--event", "-", given=json.dumps(event))
    assert (result.returncode, json.loads(result.stdout)) == (1, {"path": "/a"})
    for line in ("printed", "logged", 'output alerts a: {"got": "hot"}', "status 404"):
        assert line in result.stderr
    assert (node_home.root / "functions/node_modules/tidegate/index.js").is_file()


def find_address(told: str) -> tuple[str, int]:
    """Return where a debugger may attach."""
    found = re.search(r"A debugger may attach to (127\.0\.0\.1):(\d+)", told)
    return (found[1], int(found[2])) if found else ("", 0)


def attach(address: tuple[str, int]) -> None:
    """Speak as an editor does that attaches by the Debug Adapter Protocol."""
    request = json.dumps({"seq": 1, "type": "request", "command": "initialize", "arguments": {"adapterID": "test"}})
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(f"Content-Length: {len(request)}\r\n\r\n{request}".encode())
        said = b""
        while b"supportsConditionalBreakpoints" not in said:
            piece = connection.recv(65536)
            assert piece, said
            said += piece


def test_a_debugger_attaches_to_python(home: Home) -> None:
    pytest.importorskip("debugpy")
    port = free_port()
    with home.running("--port", str(port), "--debug"):
        home.wait_for_answer(port, "one")
        attach(find_address(home.log.read_text()))
        # It finds the handler that was saved, at the same port.
        home.write(HANDLER.format(answer="two"))
        home.wait_for_answer(port, "two")
        attach(find_address(home.log.read_text()))
    assert "Remote Attach" in home.log.read_text()


@needs_node
def test_a_debugger_attaches_to_node_js(node_home: Home) -> None:
    node_home.write("exports.handler = (context) => { debugger; context.callback('halted'); };\n", "main.js")
    with subprocess.Popen(
        node_home.command("--event", "-", "--debug"),
        cwd=node_home.root,
        env=node_home.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write("{}")
        process.stdin.close()
        host, port = find_address(read_until(process.stderr, "Debugger listening"))
        # It waits for the debugger, and halts where the handler says so.
        command = ["node", "inspect", f"{host}:{port}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as inspector:
            assert inspector.stdin and inspector.stdout
            read_until(inspector.stdout, "> 1 exports.handler = (context) => { debugger;")
            inspector.stdin.write("cont\n.exit\n")
            inspector.stdin.close()
            assert process.stdout.read() == "halted\n"
    assert process.returncode == 0


def read_until(output: IO[str], wanted: str) -> str:
    """Read what a process says until it has said something."""
    said = ""
    while wanted not in said:
        character = output.read(1)
        assert character, said
        said += character
    return said
