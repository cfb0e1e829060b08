"""Nuclio's API as the stack's own dashboard serves it: deploys, calls and logs, and Nuclio's own client."""

import getpass
import http.client
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.workspace import PATIENCE, Workspace, fetch, run_docker, wait_until
from tests.unit.dashboard.serving import Client

CLIENT = "nuclio-jupyter==0.13.2"
PATH, CALLS = "/api/functions", "/api/function_invocations"
SETTLED = ("ready", "error", "unhealthy")
SOURCE = """
def run(context, event):
    context.logger.info_with("called", path=event.path)
    return f"WORD {event.method} {event.body.decode()}"
"""


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> Client:
    client = Client(workspace.settings.ports.dashboard)
    wait_for(client)
    return client


@pytest.fixture
def remove(client: Client) -> Iterator[Callable[[str], None]]:
    """Delete functions at the test's end."""
    names: list[str] = []
    yield names.append
    for name in names:
        client.send(
            "DELETE", PATH, {"metadata": {"name": name}}, X_Nuclio_Delete_Function_Ignore_State_Validation="true"
        )


def test_function_from_its_first_deploy_to_its_end(
    workspace: Workspace, client: Client, remove: Callable[[str], None]
) -> None:
    name = "api-life"
    remove(name)
    assert client.send("POST", PATH, make(name, "one")).status == 202
    states, ready = follow(client, name)
    assert states == ["building", "ready"]
    check_log(ready["status"]["logs"])
    (outside,) = ready["status"]["externalInvocationUrls"]
    assert ready["status"]["internalInvocationUrls"] == [f"nuclio-nuclio-{name}:8080"]
    assert fetch(f"http://{outside}/", b"me") == (200, "one POST me")
    check_calls(client, name, outside)
    check_replicas(client, name)

    slow = make(name, "slow", commands=["sleep 60"])
    assert client.send("PUT", f"{PATH}/{name}", slow).status == 202
    wait_until(lambda: "sleep 60" in str(tell(client, name)["status"]["logs"]), what="the build's log")
    (dashboard,) = workspace.containers("dashboard")
    run_docker("kill", dashboard)
    assert fetch(f"http://{outside}/", b"me") == (200, "one POST me")
    run_docker("start", dashboard)
    wait_for(client)
    # While another looks whether its log is to be ended, it is told as one that goes on.
    status = follow(client, name)[1]["status"]
    assert (status["state"], "interrupted" in status["message"]) == ("error", True)
    assert "sleep 60" in str(status["logs"])

    assert client.send("PUT", f"{PATH}/{name}", make(name, "two"), X_Nuclio_Wait_Function_Action="true").status == 202
    assert tell(client, name)["status"]["state"] == "ready"
    assert fetch(f"http://{outside}/") == (200, "two GET ")
    for desired, state in (("scaledToZero", "scaledToZero"), ("ready", "ready")):
        assert client.send("PATCH", f"{PATH}/{name}", {"desiredState": desired}).status == 202
        assert tell(client, name)["status"]["state"] == state
    assert client.send("DELETE", PATH, {"metadata": {"name": name}}).status == 204
    assert not (workspace.rendered / "functions" / name).exists()
    assert client.send("GET", f"{PATH}/{name}").status == 404
    assert workspace.containers(f"function-{name}") == []
    assert not (workspace.root / "functions" / name).exists()


def check_log(log: list[dict[str, Any]]) -> None:
    assert all(isinstance(one["time"], float) for one in log)
    assert {one["level"] for one in log} == {"info"}
    assert "Deploying" in log[0]["message"]
    assert any("COPY" in one["message"] for one in log)
    assert "is ready" in log[-1]["message"]


def check_calls(client: Client, name: str, outside: str) -> None:
    headers = {"X_Nuclio_Function_Name": name, "X_Nuclio_Path": "/a/b?c=d", "X_Nuclio_Log_Level": "info"}
    answer = client.send("PUT", CALLS, b"body", X_Nuclio_Invoke_Url=outside, **headers)
    assert (answer.status, answer.body) == (200, b"one PUT body")
    assert '"path":"/a/b' in answer.headers["x-nuclio-logs"]
    assert client.send("GET", CALLS, **headers).body == b"one GET "


def check_replicas(client: Client, name: str) -> None:
    (replica,) = client.send("GET", f"{PATH}/{name}/replicas").json["names"]
    path = f"{PATH}/{name}/logs/{replica}?follow=false"
    assert client.send("GET", path).headers["content-type"].startswith("text/plain")
    # Docker has a line a moment after it was written.
    wait_until(lambda: b"called" in client.send("GET", path).body, what="the log of a call")
    assert client.send("GET", f"{PATH}/{name}/logs/another?follow=false").status == 400
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE)
    connection.request("GET", f"{PATH}/{name}/logs/{replica}?tailLines=1")
    answer = connection.getresponse()
    assert b"called" in answer.readline()
    client.send("GET", CALLS, X_Nuclio_Function_Name=name, X_Nuclio_Path="followed")
    # Docker may tell of the calls before only now.
    assert any(b'"path":"/followed"' in answer.readline() for _ in range(5))
    connection.close()


def test_what_is_ready_answers_also_to_who_stayed_connected(
    workspace: Workspace, client: Client, remove: Callable[[str], None]
) -> None:
    """The gateway reads its configuration again meanwhile, and its older process keeps those who are connected."""
    connection = http.client.HTTPConnection("127.0.0.1", workspace.settings.ports.gateway, timeout=30)
    assert call(connection, "api-soon")[0] == 404
    remove("api-soon")
    assert client.send("POST", PATH, mark(make("api-soon", "one"), "skip-deploy")).status == 202
    assert call(connection, "api-soon")[0] == 404
    assert client.send("PUT", f"{PATH}/api-soon", mark(make("api-soon", "one"), "skip-build")).status == 202
    assert follow(client, "api-soon")[0] == ["building", "ready"]
    assert call(connection, "api-soon") == (200, b"one GET ")
    connection.close()


def call(connection: http.client.HTTPConnection, name: str) -> tuple[int, bytes]:
    connection.request("GET", f"/{name}")
    answer = connection.getresponse()
    return answer.status, answer.read()


def mark(document: dict[str, Any], annotation: str) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "annotations": {annotation: "true"}}}


def test_broken_function_says_why(client: Client, remove: Callable[[str], None]) -> None:
    name = "api-broken"
    remove(name)
    client.send("POST", PATH, make(name, "one", commands=["echo on-the-way && exit 3"]))
    states, broken = follow(client, name)
    assert states == ["building", "error"]
    assert "exit code: 3" in broken["status"]["message"]
    log = broken["status"]["logs"]
    assert any("on-the-way" in one["message"] for one in log[:-1])
    assert (log[-1]["level"], log[-1]["message"]) == ("error", broken["status"]["message"])
    assert client.send("PATCH", f"{PATH}/{name}", {"desiredState": "ready"}).status == 412


def test_command_line_and_api_see_the_same(
    workspace: Workspace, client: Client, remove: Callable[[str], None], author: Callable[..., Path]
) -> None:
    source = "def handler(context, event):\n    return 'typed'\n"
    author("api-typed", source, "# mine\nspec: {env: [{name: A, value: b}]}\n")
    workspace.invoke("deploy-function", "api-typed", "--message", "by hand")
    typed = tell(client, "api-typed")
    assert typed["status"]["state"] == "ready"
    assert "by hand" in typed["status"]["logs"][0]["message"]
    assert b64decode(typed["spec"]["build"]["functionSourceCode"]).decode() == source
    assert typed["spec"]["env"] == [{"name": "A", "value": "b"}]

    remove("api-sent")
    client.send("POST", PATH, make("api-sent", "sent"), X_Nuclio_Wait_Function_Action="true")
    assert workspace.functions()["api-sent"]["state"] == "ready"
    assert "through the API" in workspace.invoke("functions", "api-sent").stdout
    assert "sent" in (workspace.root / "functions/api-sent/app.py").read_text()
    assert '"action": "deploy"' not in workspace.invoke("plan", "--json", check=False).stdout
    workspace.invoke("delete-function", "api-sent", "--yes")
    wait_until(lambda: tell(client, "api-sent")["status"]["state"] == "imported", what="the end of its deployment")


@pytest.fixture(scope="session")
def jupyter() -> str:
    """A Python that has Nuclio's own client, which is kept for the next run."""
    folder = Path(tempfile.gettempdir()) / f"tidegate-{getpass.getuser()}-{CLIENT}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENT], check=True, timeout=240)
        complete.touch()
    return str(python)


JUPYTER = """
import sys, urllib.request
from nuclio.config import ConfigSpec
from nuclio.deploy import delete_func, deploy_file, get_deploy_status, list_functions

url, name = sys.argv[1], "api-jupyter"

def deploy(word):
    open("greet.py", "w").write(f"def handler(context, event):\\n    return '{word} ' + event.body.decode()\\n")
    spec = ConfigSpec(env={"A": "b"})
    address = deploy_file("greet.py", dashboard_url=url, name=name, project="notebooks", spec=spec)
    print(urllib.request.urlopen("http://" + address, data=b"you").read().decode())

deploy("hello")
print(list_functions(url)[name]["metadata"]["labels"]["nuclio.io/project-name"])
print(get_deploy_status(f"{url}/api", name)[0])
deploy("again")
delete_func(name, url)
print(name in list_functions(url))
"""


def test_nuclios_own_client(workspace: Workspace, client: Client, jupyter: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [jupyter, "-c", JUPYTER, client.url], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stdout.splitlines() if not line.startswith("[nuclio]")]
    assert said == ["hello you", "notebooks", "ready", "again you", "Delete successful", "False"]
    assert not (workspace.root / "functions/api-jupyter").exists()


def make(name: str, word: str, *, commands: list[str] | None = None) -> dict[str, Any]:
    code = b64encode(SOURCE.replace("WORD", word).encode()).decode()
    build = {"functionSourceCode": code, "commands": commands or []}
    return {"metadata": {"name": name}, "spec": {"runtime": "python", "handler": "app:run", "build": build}}


def tell(client: Client, name: str) -> dict[str, Any]:
    answer = client.send("GET", f"{PATH}/{name}")
    assert answer.status == 200, answer.body
    return dict(answer.json)


def follow(client: Client, name: str) -> tuple[list[str], dict[str, Any]]:
    """Look until a deploy has ended; return the states that were seen, and what is told then."""
    states: list[str] = []
    deadline = time.monotonic() + 180
    while True:
        told = tell(client, name)
        state = told["status"]["state"]
        states += [state] if states[-1:] != [state] else []
        if state in SETTLED:
            return states, told
        assert time.monotonic() < deadline, states
        time.sleep(0.1)


def wait_for(client: Client) -> None:
    def answers() -> bool:
        try:
            return client.send("GET", "/healthz").status == 200
        except OSError:
            return False

    wait_until(answers, what="the dashboard's answer")
