"""`invoke nodes` and `invoke join` on a Swarm of three machines; the tests are one story, told in their order."""

import json
import shlex
from typing import Any

from tests.docker.workspace import wait_until
from tests.swarm.lab import Lab, NodeWorkspace


def list_nodes(workspace: NodeWorkspace) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(workspace.invoke("nodes", "--json").stdout)}


def run_service(lab: Lab, name: str, image: str, *options: str) -> None:
    identity = lab.nodes[0].docker("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()
    lab.nodes[0].docker("service", "create", "--name", name, "--no-resolve-image", *options, identity, "sleep", "1d")


def test_what_is_kept_on_a_node_stands_in_the_way_of_its_end(
    lab: Lab, workspace: NodeWorkspace, gateway_image: str
) -> None:
    workspace.invoke("nodes", "n2", "--label", "disk=ssd")
    assert list_nodes(workspace)["n2"]["labels"] == {"disk": "ssd"}
    run_service(lab, "kept", gateway_image, "--constraint", "node.labels.disk==ssd")
    run_service(lab, "free", gateway_image, "--replicas", "3", "--stop-grace-period", "1s")
    refused = workspace.invoke("nodes", "n2", "--remove", check=False)
    assert refused.returncode == 1
    assert "kept may run on n2 only" in refused.stderr
    drained = workspace.invoke("nodes", "n2", "--drain")
    assert "kept may run on n2 only" in drained.stderr
    shown = list_nodes(workspace)["n2"]
    assert (shown["availability"], shown["runs"]) == ("drain", [])
    workspace.invoke("nodes", "n2", "--activate", "--label", "disk=")
    shown = list_nodes(workspace)["n2"]
    assert (shown["availability"], shown["labels"]) == ("active", {})
    lab.nodes[0].docker("service", "rm", "kept", "free")


def test_a_node_is_removed_and_joins_again_by_what_is_printed(lab: Lab, workspace: NodeWorkspace) -> None:
    last = lab.nodes[2]
    workspace.invoke("nodes", "n3", "--remove")
    assert set(list_nodes(workspace)) == {"n1", "n2"}
    wrong = workspace.invoke("nodes", "n1", "--remove", check=False)
    assert "n1 is this machine" in wrong.stderr
    last.docker("swarm", "leave", "--force")
    provision, join = workspace.invoke("join", "--manager").stdout.splitlines()
    assert provision == "./bootstrap provision --swarm --bind 0.0.0.0"
    last.docker(*shlex.split(join)[1:])
    wait_until(lambda: lab.hostnames() == {"n1", "n2", "n3"}, seconds=60, what="n3 being ready")
    assert list_nodes(workspace)["n3"]["role"] == "manager"


def test_a_machine_is_made_ready_before_it_joins(lab: Lab, workspace: NodeWorkspace) -> None:
    last = lab.nodes[2]
    workspace.invoke("nodes", "n3", "--remove")
    last.docker("swarm", "leave", "--force")
    binding = ("network", "inspect", "docker_gwbridge", "--format", "{{json .Options}}")
    environment = last.environment
    for _ in range(2):
        done = workspace.invoke("provision", "--swarm", "--bind", "0.0.0.0", env=environment)
        assert "2377/tcp" in done.stderr
    options = json.loads(last.docker(*binding).stdout)
    assert options["com.docker.network.bridge.host_binding_ipv4"] == "0.0.0.0"
    assert "not needed: have the ports of a Swarm's services listen at 0.0.0.0" in done.stderr
    last.docker(*shlex.split(workspace.invoke("join", "--manager").stdout.splitlines()[1])[1:])
    wait_until(lambda: lab.hostnames() == {"n1", "n2", "n3"}, seconds=60, what="n3 being ready")
