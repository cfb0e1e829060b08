"""What is told of deployed functions: their figures, and why one does not come up."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.docker.workspace import Workspace
from tests.process.processor.running import wait_for

Author = Callable[..., Path]

CALLER = """
import nuclio_sdk

def handler(context, event):
    called = nuclio_sdk.Event(method="PUT", path="/a?b=1", body={"n": 1}, headers={"X-Own": "yes"})
    answer = context.platform.call_function("called", called, timeout=10)
    return {"status": answer.status_code, "body": answer.body, "type": answer.content_type}
"""
CALLED = """
def handler(context, event):
    return (201, [event.method, event.path, event.fields, event.body, event.headers["X-Own"]])
"""
COUNTED = """
from pathlib import Path

def init_context(context):
    if Path("/tmp/away").exists():
        raise ConnectionError("the database is away")

def handler(context, event):
    if event.body == b"fail":
        raise ValueError("as asked")
    if event.body == b"break":
        Path("/tmp/away").touch()
"""


def call(url: str, body: str = "") -> tuple[int, bytes]:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, body.encode() or None) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def status_of(workspace: Workspace, name: str) -> dict[str, Any]:
    containers = json.loads(workspace.invoke("status", "--json").stdout)
    (found,) = [one for one in containers if one["service"] == f"function-{name}"]
    return dict(found)


def test_one_function_calls_another_by_name(workspace: Workspace, author: Author) -> None:
    author("caller", CALLER)
    author("called", CALLED)
    workspace.invoke("deploy-function", "caller")
    workspace.invoke("deploy-function", "called")
    status, body = call(workspace.url("caller"))
    assert status == 200
    assert json.loads(body) == {
        "status": 201,
        "body": ["PUT", "/a", {"b": "1"}, {"n": 1}, "yes"],
        "type": "application/json",
    }


def test_status_has_each_functions_figures_and_why_it_is_not_ready(workspace: Workspace, author: Author) -> None:
    author("counted", COUNTED)
    workspace.invoke("deploy-function", "counted")
    for body in ("", "fail", "", "break"):
        call(workspace.url("counted"), body)
    found = status_of(workspace, "counted")
    assert (found["events"], found["failures"], found["in_flight"], found["reason"]) == (4, 1, 0, "")
    assert 0 < found["rate"] <= 4
    line = next(line for line in workspace.invoke("status").stdout.splitlines() if "function-counted" in line)
    assert line.split()[3:5] == ["4", "1"]
    page = workspace.execute(
        "function-counted",
        "python3",
        "-c",
        "import urllib.request; print(urllib.request.urlopen('http://localhost:8090/metrics').read().decode())",
    ).stdout
    assert 'function="counted",project="default",result="failure"} 1.0' in page
    workspace.docker("restart", *workspace.containers("function-counted"))
    wait_for(lambda: "the database is away" in status_of(workspace, "counted").get("reason", ""))
    assert "init_context failed: ConnectionError: the database is away" in workspace.invoke("status").stdout


@pytest.mark.slow
def test_deploy_does_not_wait_for_an_init_context_that_always_fails(workspace: Workspace, author: Author) -> None:
    author(
        "never", 'def init_context(context):\n    raise KeyError("TOKEN")\n\ndef handler(context, event):\n    pass\n'
    )
    began = time.monotonic()
    result = workspace.invoke("deploy-function", "never", check=False)
    assert result.returncode == 1
    assert (
        "function-never does not come up: trigger default-http, worker 0: init_context failed: KeyError: 'TOKEN'"
        in (result.stderr)
    )
    assert 'main.py", line 2, in init_context' in result.stderr
    assert time.monotonic() - began < 45
    assert workspace.containers("function-never") == []


def test_figures_of_twenty_functions_cost_one_quick_command(workspace: Workspace, author: Author) -> None:
    author("counted", COUNTED)
    workspace.invoke("deploy-function", "counted")
    (container,) = workspace.containers("function-counted")
    least, _ = time_command(workspace, container, "true")
    for _ in range(3):
        seconds, told = time_command(workspace, container, "processor", "--states", *[container[:12]] * 20)
        # The quickest counts: other work on the machine takes its time too.
        if seconds < 5 * least + 2:
            break
    assert seconds < 5 * least + 2
    assert container[:12] in json.loads(told)


def time_command(workspace: Workspace, container: str, *command: str) -> tuple[float, str]:
    """Run a command in a container; return how many seconds that took, and what it printed."""
    began = time.monotonic()
    told = workspace.docker("exec", container, *command).stdout
    return time.monotonic() - began, told
