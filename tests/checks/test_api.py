"""The dashboard's API stands whatever a client makes of its OpenAPI document."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

import pytest

from stack.state.workspace import PROGRAM, VARIABLE
from tests.ports import free_port
from tests.unit.dashboard.serving import wait_until

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

# What the service of devices keeps cannot be told while it does not run, which the document says of each.
CONFIG = '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard of its own, with a Docker that no one answers for: whatever is deployed fails at once."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "stack.yaml").write_text("project: tidegate-unit-fuzzed\nimages: {source: debian}\n")
    port = free_port()
    environment = {**os.environ, VARIABLE: str(folder), "DOCKER_HOST": "tcp://127.0.0.1:9"}
    command = [sys.executable, "-m", "stack.dashboard", "--port", str(port)]
    process = subprocess.Popen(command, cwd=PROGRAM, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port), what="the dashboard")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int) -> bool:
    with suppress(URLError, ConnectionError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        return bool(answer.status == 200)
    return False


@pytest.mark.parametrize("paths", ["/api/functions", "/api/function_invocations", "/api/(?!functions|function_inv)"])
def test_no_request_is_too_much(server: str, paths: str, tmp_path: Path) -> None:
    """Whatever is sent; by one seed, since of some others Schemathesis cannot make what a document refuses."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{server}/api/openapi.json", "--no-color"),
        *("--phases", "examples,fuzzing", "--max-examples", "4", "--checks", CHECKS, "--include-path-regex", paths),
        *("--seed", "1"),
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Tested:" in result.stdout
