"""A stack on three machines, of which the first alone has images at the beginning; told in the tests' order."""

import json
import socket
import ssl
from collections.abc import Sequence

import pytest

from stack.plan.registry import find_port, find_prefix, name_stack
from tests.docker.workspace import fetch, wait_until
from tests.swarm.lab import Lab, NodeWorkspace

_NAME_MACHINE = """
import os

def handler(context, event):
    return str(len(event.body)) if event.body else os.environ["MACHINE"]
"""
# Bytes that a packet may have between the machines, as over WireGuard, and what VXLAN needs of them.
_MTU, _VXLAN = 1420, 50
_EVERYWHERE = """
spec:
  env:
  - {name: MACHINE, value: "first"}
  minReplicas: 3
  maxReplicas: 3
"""


def list_services(workspace: NodeWorkspace, stack: str) -> dict[str, str]:
    """Return the images of a stack's services, by name."""
    listed = workspace.docker(
        "service", "ls", "--format", "json", "--filter", f"label=com.docker.stack.namespace={stack}"
    )
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    return {row["Name"].removeprefix(f"{stack}_"): row["Image"] for row in rows}


def list_machines(workspace: NodeWorkspace, service: str) -> set[str]:
    shown = json.loads(workspace.invoke("nodes", "--json").stdout)
    return {one["name"] for one in shown if service in one["runs"]}


def call(lab: Lab, workspace: NodeWorkspace, name: str, body: bytes | None = None) -> Sequence[tuple[int, str]]:
    """Call a function at each machine, from none of them."""
    with lab.outside():
        return [fetch(f"http://{node.address}:{workspace.settings.ports.gateway}/{name}", body) for node in lab.nodes]


def test_a_function_runs_on_three_machines(lab: Lab, workspace: NodeWorkspace, gateway_image: str) -> None:
    lab.narrow(_MTU)
    workspace.configure(swarm={"mtu": _MTU})
    workspace.invoke("credentials")
    workspace.invoke("up")
    workspace.write_function("echo", _NAME_MACHINE, _EVERYWHERE)
    workspace.invoke("deploy-function", "echo")
    wait_until(lambda: list_machines(workspace, "function-echo") == {"n1", "n2", "n3"}, what="a container on each")
    wait_until(lambda: call(lab, workspace, "echo") == [(200, "first")] * 3, seconds=30, what="an answer of each")


def test_long_bodies_pass_between_machines_with_narrow_links(lab: Lab, workspace: NodeWorkspace) -> None:
    label = f"label=com.docker.swarm.service.name={workspace.project}_function-echo"
    for node in lab.nodes:
        (container,) = node.docker("ps", "--quiet", "--filter", label).stdout.split()
        shown = node.docker("exec", container, "sh", "-c", "cat /sys/class/net/eth*/mtu").stdout.split()
        assert str(_MTU - _VXLAN) in shown
    # Each gateway goes round the containers, so that three calls of each reach every machine from every other.
    for _ in range(3):
        assert call(lab, workspace, "echo", bytes(1_000_000)) == [(200, "1000000")] * 3


def test_the_dashboard_tells_what_was_said_on_each_machine(workspace: NodeWorkspace) -> None:
    rows = [line.split() for line in workspace.invoke("credentials", "--dashboard").stdout.splitlines()]
    (user, password) = next(row[1:3] for row in rows if row[:1] == ["dashboard"])
    workspace.invoke("up")
    with workspace.node.entered():
        url = f"http://127.0.0.1:{workspace.settings.ports.dashboard}/functions/echo/logs/text"
        status, text = fetch(url, user=user, password=password)
    assert status == 200, text
    assert len({line.split()[1] for line in text.splitlines()}) == 3, text


def test_images_are_pulled_by_their_digest(workspace: NodeWorkspace) -> None:
    images = list_services(workspace, workspace.project)
    assert {"function-echo", "gateway", "rabbitmq-mqtt"} <= set(images)
    assert all(
        one.startswith(f"{find_prefix(workspace.settings)}/") and "@sha256:" in one for one in images.values()
    ), images


def test_a_machine_can_take_over_without_the_registry(lab: Lab, workspace: NodeWorkspace) -> None:
    workspace.write_function("alone", _NAME_MACHINE, "spec: {env: [{name: MACHINE, value: any}]}\n")
    workspace.invoke("deploy-function", "alone")
    image = list_services(workspace, workspace.project)["function-alone"]
    assert [node.docker("image", "inspect", image, check=False).returncode for node in lab.nodes] == [0, 0, 0]
    assert "pull-" not in workspace.docker("service", "ls").stdout


def test_no_other_machine_reaches_the_registry(lab: Lab, workspace: NodeWorkspace) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    first = lab.nodes[0].address
    with lab.outside():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((first, workspace.settings.swarm.registry), timeout=5)
        with (
            socket.create_connection((first, find_port(workspace.settings)), timeout=5) as connection,
            pytest.raises(ssl.SSLError, match=r"CERTIFICATE_REQUIRED"),
            context.wrap_socket(connection) as secure,
        ):
            secure.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n")
            secure.recv(1)


def test_nothing_stays_when_it_is_taken_down(workspace: NodeWorkspace) -> None:
    workspace.invoke("down", "--volumes", "--yes")
    stacks = [workspace.project, name_stack(workspace.project)]
    assert [list_services(workspace, one) for one in stacks] == [{}, {}]
    assert workspace.project not in workspace.docker("volume", "ls", "--quiet").stdout
