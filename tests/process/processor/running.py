"""The real processor as a subprocess, on free ports."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port

FUNCTIONS = Path(__file__).parent / "functions"
ROOT = Path(__file__).parents[3]
# Seconds for what takes one or two by itself: a machine that has other work may stand still for some.
PATIENCE = 60.0
# Seconds in which what does not wait for anything has ended on such a machine; a worker that does not end has ten.
AT_ONCE = 8.0


@dataclass(frozen=True)
class Answer:
    """A response as a client sees it; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Processor:
    """A running processor; what it writes goes to a file."""

    def __init__(self, folder: Path, spec: Mapping[str, Any], function: Path) -> None:
        self.port = free_port()
        self.health_port = free_port()
        self.metrics_port = free_port()
        self._log = folder / "log.txt"
        config = folder / "processor.yaml"
        config.write_text(json.dumps(_complete(spec, self.port)))
        command = [sys.executable, "-m", "stack.processor", "--config", str(config), "--secrets", str(folder)]
        command += ["--folder", str(function), "--health-port", str(self.health_port)]
        command += ["--metrics-port", str(self.metrics_port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"TZ": "UTC"})

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, path: str = "/", body: bytes | str = b"", method: str = "", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        # Also where it is reset before the request is sent.
        with closing(connection):
            connection.request(method or ("POST" if body else "GET"), path, body or None, names)
            return read_answer(connection)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def health(self, path: str = "/ready", port: int = 0) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.health_port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return read_answer(connection)
        except (OSError, http.client.HTTPException):
            # It has not begun to listen, or ends.
            return Answer(0, {}, b"")
        finally:
            connection.close()

    def metrics(self) -> str:
        return self.health("/metrics", self.metrics_port).body.decode()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def wait_until_ready(self) -> "Processor":
        wait_for(lambda: self.health().status == 200 or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    def wait_for_log(self, text: str) -> str:
        wait_for(lambda: text in self.log)
        return self.log

    def wait_for_end(self) -> int:
        return self.process.wait(PATIENCE)

    def stop(self) -> float:
        """Stop it as Docker does; return the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.wait_for_end() == 0, self.log
        return time.monotonic() - began


@contextmanager
def run_processor(folder: Path, spec: Mapping[str, Any], function: Path) -> Iterator[Processor]:
    processor = Processor(folder, spec, function)
    try:
        yield processor
    finally:
        if processor.process.poll() is None:
            processor.process.terminate()
            try:
                processor.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                processor.process.kill()
                processor.process.wait()


def read_answer(connection: http.client.HTTPConnection) -> Answer:
    try:
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return result


def _complete(spec: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Return a processor.yaml whose http triggers listen on a port, and keep nothing from anyone if left to it."""
    triggers = spec.get("triggers", {"default-http": {"kind": "http"}})
    shown = {"hideTraceback": False, "hideLogs": False}
    triggers = {
        name: {"url": f"127.0.0.1:{port}"} | trigger | {"attributes": shown | trigger.get("attributes", {})}
        if trigger["kind"] == "http"
        else trigger
        for name, trigger in triggers.items()
    }
    metadata = {"name": "tested", "namespace": "nuclio"}
    return {"metadata": metadata, "spec": {"handler": "main:handler", **spec, "triggers": triggers}}
