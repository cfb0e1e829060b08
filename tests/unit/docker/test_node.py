"""The machines of a Swarm, as an engine tells of them."""

import pytest

from stack.docker.node import fetch_nodes, find_kept, find_node, require_manager
from stack.errors import HostError
from tests.unit.docker.fake_engine import FakeEngine
from tests.unit.docker.swarm_documents import make_info, make_node, make_service, make_task, serve


def test_nodes_are_read_with_what_runs_there(fake: FakeEngine) -> None:
    services = [make_service("plant_gateway"), make_service("plant_function-a")]
    tasks = [make_task("plant_function-a", 1), make_task("plant_function-a", 1), make_task("plant_gateway", 1)]
    tasks += [make_task("plant_function-a", 2, "starting"), make_task("other_web", 2)]
    serve(fake, [make_node(2), make_node(1, leader=True, disk="ssd")], services, tasks)
    first, second = fetch_nodes("plant")
    assert (first.name, first.is_leader, first.address, first.labels) == ("n1", True, "10.77.0.11", {"disk": "ssd"})
    assert (first.services, second.services) == (("function-a (2)", "gateway"), ())
    assert "com.docker.stack.namespace%3Dplant" in str(fake.asked)


@pytest.mark.parametrize(
    ("info", "told"),
    [
        (make_info(state="inactive"), r"in no Swarm.*docker swarm init --advertise-addr"),
        (make_info(is_manager=False), r"is a worker.*Type this on 10\.77\.0\.11\."),
        (make_info(state="locked"), "docker swarm unlock"),
    ],
)
def test_what_to_type_where_this_is_no_manager(fake: FakeEngine, info: object, told: str) -> None:
    fake.answer("/info", info)
    with pytest.raises(HostError, match=told):
        require_manager()


def test_without_a_majority_of_managers_it_is_said_what_to_do(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.docker.node._ELECTION_SECONDS", -1.0)
    serve(fake, [])
    refusal = {"message": "rpc error: code = Unknown desc = The swarm does not have a leader."}
    fake.answer("/nodes", refusal, status=500)
    with pytest.raises(HostError, match="More than half of the Swarm's managers are away"):
        fetch_nodes()


def test_a_node_is_found_by_name_or_id(fake: FakeEngine) -> None:
    twin = make_node(3, state="down") | {"Description": {"Hostname": "n1"}}
    serve(fake, [make_node(1), make_node(2), twin])
    nodes = fetch_nodes()
    assert find_node(nodes, "n2").id == find_node(nodes, "id2").id == "id2"
    with pytest.raises(HostError, match=r"Several nodes are called n1.*id1 \(ready\), id3 \(down\)"):
        find_node(nodes, "n1")
    with pytest.raises(HostError, match=r"There is no node n9\. There are n1, n1, n2"):
        find_node(nodes, "n9")


def test_services_are_kept_where_they_alone_may_run(fake: FakeEngine) -> None:
    services = [
        make_service("broker", "node.id == id1"),
        make_service("store", "node.labels.disk==ssd"),
        make_service("web", "node.hostname != n1"),
        make_service("free"),
        make_service("odd", "engine.labels.x == y"),
    ]
    serve(fake, [make_node(1, disk="ssd"), make_node(2), make_node(3)], services)
    nodes = fetch_nodes()
    assert find_kept(nodes[0], nodes) == ["broker", "store"]
    assert find_kept(nodes[1], nodes) == []
