"""The OpenAPI document: it tells the truth, and whatever a client makes of it, the dashboard stands it."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from stack.dashboard.api import openapi
from stack.dashboard.app import make_app
from stack.dashboard.services import open_services
from stack.state.workspace import PROGRAM, VARIABLE
from tests.unit.dashboard.serving import Client, wait_until

# Resources of other platforms, of which the API says only that there are none; and the document itself.
UNDESCRIBED = ("/api/api_gateways", "/api/v3io_streams", "/api/openapi.json")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.usefixtures("client")
def test_every_route_is_described_and_nothing_else() -> None:
    described = {(one.method, one.path) for one in openapi.list_operations()}
    found = {
        (method, route.path.replace(":path", ""))
        for route in make_app(open_services()).routes
        if isinstance(route, Route) and route.path.startswith("/api/") and not route.path.startswith(UNDESCRIBED)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == found


def test_document_is_served_and_its_schemas_are_schemas(client: Client) -> None:
    document = client.send("GET", "/api/openapi.json").json
    assert document == openapi.make_document()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert set(_references(document)) <= set(schemas) | {"Failure"}


def test_examples_fit_their_schemas() -> None:
    document = openapi.make_document()
    bodies = [
        operation["requestBody"]["content"]["application/json"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    examples = [one for one in bodies if "example" in one]
    assert len(examples) >= 6
    for one in examples:
        Draft202012Validator({**one["schema"], "components": document["components"]}).validate(one["example"])


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item.rpartition("/")[2]
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard of its own, with a Docker that no one answers for: whatever is deployed fails at once."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "stack.yaml").write_text("project: tidegate-unit-fuzzed\nimages: {source: debian}\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, VARIABLE: str(folder), "DOCKER_HOST": "tcp://127.0.0.1:9"}
    command = [sys.executable, "-m", "stack.dashboard", "--port", str(port)]
    process = subprocess.Popen(command, cwd=PROGRAM, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port), what="the dashboard", seconds=30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    with suppress(URLError, ConnectionError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        return bool(answer.status == 200)
    return False


@pytest.mark.parametrize("paths", ["/api/functions", "/api/function_invocations", "/api/(?!functions|function_inv)"])
def test_no_request_is_too_much(server: str, paths: str, tmp_path: Path) -> None:
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{server}/api/openapi.json", "--no-color"),
        *("--phases", "examples,fuzzing", "--max-examples", "4", "--checks", CHECKS, "--include-path-regex", paths),
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Tested:" in result.stdout
