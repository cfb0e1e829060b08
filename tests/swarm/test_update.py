"""Functions of a Swarm: replaced without a gap, taken back, scaled, with secrets; told in the tests' order."""

from collections.abc import Iterator

import pytest

from tests.docker.test_gateway import loading
from tests.docker.workspace import fetch, wait_until
from tests.swarm.lab import Lab, NodeWorkspace

# The ordinary run shows with a stack that it runs, and goes on when a machine is lost; these go further.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_TWO = "spec: {minReplicas: 2, maxReplicas: 2}\n"
_ASLEEP = """
metadata:
  annotations: {tidegate.io/cool-down: "2"}
spec: {minReplicas: 0, maxReplicas: 2}
"""
_WITH_SECRET = """
spec:
  env:
  - {name: TOKEN, valueFrom: {secretKeyRef: {name: api, key: token}}}
"""


def write(workspace: NodeWorkspace, name: str, answer: str, config: str = _TWO) -> None:
    workspace.write_function(name, f"import os\n\ndef handler(context, event):\n    return {answer}\n", config)


def find_url(lab: Lab, workspace: NodeWorkspace, name: str, node: int = 1) -> str:
    return f"http://{lab.nodes[node].address}:{workspace.settings.ports.gateway}/{name}"


@pytest.fixture(scope="module")
def swarm(lab: Lab, workspace: NodeWorkspace, gateway_image: str) -> Iterator[NodeWorkspace]:
    """A stack on three machines, with the function `steady`."""
    workspace.invoke("credentials")
    write(workspace, "steady", '"one"')
    workspace.invoke("deploy-function", "steady")
    yield workspace
    workspace.invoke("down", "--volumes", "--yes")


def test_no_request_fails_while_functions_change(lab: Lab, swarm: NodeWorkspace) -> None:
    """Nor while the gateways of all machines learn of another function."""
    with lab.outside(), loading(find_url(lab, swarm, "steady")) as load:
        write(swarm, "another", '"new"', "{}\n")
        swarm.invoke("deploy-function", "another")
        write(swarm, "steady", '"two"')
        swarm.invoke("deploy-function", "steady")
        assert fetch(find_url(lab, swarm, "steady")) == (200, "two")
        swarm.invoke("scale-function", "another", "2")
    assert load.answers["one"] and load.answers["two"]
    await_answer(lab, swarm, "another", "new")


def await_answer(lab: Lab, swarm: NodeWorkspace, name: str, text: str) -> None:
    """Wait until a function answers at another machine, whose gateway fetches its configuration by itself."""
    wait_until(lambda: _ask(lab, swarm, name) == (200, text), what=f"{text} of {name} at another machine")


def _ask(lab: Lab, swarm: NodeWorkspace, name: str, node: int = 2) -> tuple[int, str]:
    with lab.outside():
        return fetch(find_url(lab, swarm, name, node), timeout=60)


def test_what_does_not_come_up_is_taken_back(lab: Lab, swarm: NodeWorkspace) -> None:
    write(swarm, "steady", "nothing\n\nimport nosuch")
    failed = swarm.invoke("deploy-function", "steady", check=False)
    assert failed.returncode == 1
    assert "ModuleNotFoundError: No module named 'nosuch'" in failed.stderr
    assert "steady runs as before" in failed.stderr
    assert _ask(lab, swarm, "steady") == (200, "two")
    assert "function-steady" not in swarm.invoke("plan", check=False).stdout
    first = swarm.invoke("rollback-function", "steady")
    assert "steady: ready." in first.stderr
    assert _ask(lab, swarm, "steady") == (200, "one")


def test_new_function_that_does_not_come_up_is_gone(lab: Lab, swarm: NodeWorkspace) -> None:
    write(swarm, "broken", "nothing\n\nimport nosuch", "{}\n")
    failed = swarm.invoke("deploy-function", "broken", check=False)
    assert "broken was not deployed" in failed.stderr
    assert "function-broken" not in swarm.docker("service", "ls", "--format", "{{.Name}}").stdout


def test_function_gets_another_value_of_its_secret(lab: Lab, swarm: NodeWorkspace) -> None:
    swarm.invoke("secret", "set", "api", "token", input="first")
    write(swarm, "secretive", 'os.environ["TOKEN"]', _WITH_SECRET)
    swarm.invoke("deploy-function", "secretive")
    await_answer(lab, swarm, "secretive", "first")
    swarm.invoke("secret", "set", "api", "token", input="second")
    swarm.invoke("up")
    await_answer(lab, swarm, "secretive", "second")


def test_function_sleeps_and_is_woken(lab: Lab, swarm: NodeWorkspace) -> None:
    write(swarm, "sleeper", '"awake"', _ASLEEP)
    swarm.invoke("deploy-function", "sleeper")
    await_answer(lab, swarm, "sleeper", "awake")
    services = ("service", "ls", "--format", "{{.Name}}")
    wait_until(lambda: "function-sleeper" not in swarm.docker(*services).stdout, seconds=60, what="sleep")
    assert _ask(lab, swarm, "sleeper") == (200, "awake")


def test_function_is_deleted(lab: Lab, swarm: NodeWorkspace) -> None:
    swarm.invoke("delete-function", "sleeper", "--yes")
    # Each machine's gateway fetches its configuration by itself.
    wait_until(lambda: _ask(lab, swarm, "sleeper")[0] == 404, what="the gateway of another machine knowing it no more")
