"""Nodes of a Swarm: listed, and not removed where something would break."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.docker.node import Node
from stack.errors import HostError
from stack.run import nodes as module
from stack.run.nodes import NodeCommand, advise_on_managers, handle_nodes, keeps_majority, print_join
from tests.unit.docker.fake_engine import FakeEngine
from tests.unit.docker.swarm_documents import make_node, make_service, make_task, serve


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    with FakeEngine(tmp_path / "engine.sock") as engine:
        yield engine
        engine.shutdown()


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be changed."""
    made: list[Any] = []
    monkeypatch.setattr(module, "update_node", lambda node, **change: made.append((node.name, change)))
    monkeypatch.setattr(module, "remove_node", lambda node: made.append((node.name, "removed")))
    monkeypatch.setattr(module, "fetch_join_token", lambda role: f"SWMTKN-{role}")
    return made


def test_nodes_are_listed(fake: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    serve(
        fake,
        [make_node(1, leader=True, disk="ssd"), make_node(2, role="worker"), make_node(3, role="worker", state="down")],
        [make_service("tidegate_gateway")],
        [make_task("tidegate_gateway", 1)],
    )
    handle_nodes(NodeCommand(), as_json=False)
    shown = capsys.readouterr()
    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [
        ["n1", "leader"],
        ["n2", "worker"],
        ["n3", "worker"],
    ]
    assert "disk=ssd  gateway" in shown.out
    assert "One manager: when it is away" in shown.err
    handle_nodes(NodeCommand("n3"), as_json=True)
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["name"], told["state"], told["reachable"]) == ("n3", "down", False)


def test_labels_are_set_and_taken_away(fake: FakeEngine, changes: list[Any]) -> None:
    serve(fake, [make_node(1), make_node(2)])
    handle_nodes(NodeCommand("n2", ("disk=ssd", "rack=")), as_json=False)
    assert changes == [("n2", {"labels": {"disk": "ssd", "rack": ""}})]
    with pytest.raises(HostError, match="--label ssd: should be KEY=VALUE"):
        handle_nodes(NodeCommand("n2", ("ssd",)), as_json=False)
    with pytest.raises(HostError, match="Which node"):
        handle_nodes(NodeCommand(labels=("a=b",)), as_json=False)
    with pytest.raises(HostError, match="exclude each other"):
        handle_nodes(NodeCommand("n2", drain=True, remove=True), as_json=False)


def test_what_is_kept_on_a_drained_node_is_told(
    fake: FakeEngine, changes: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    serve(fake, [make_node(1), make_node(2)], [make_service("tidegate_rabbit2", "node.id == id2")])
    handle_nodes(NodeCommand("n2", drain=True), as_json=False)
    assert changes == [("n2", {"availability": "drain"})]
    assert "tidegate_rabbit2 may run on n2 only" in capsys.readouterr().err
    handle_nodes(NodeCommand("n2", activate=True), as_json=False)
    assert changes[-1] == ("n2", {"availability": "active"})


def test_a_node_is_drained_and_made_a_worker_before_it_is_removed(fake: FakeEngine, changes: list[Any]) -> None:
    serve(fake, [make_node(1), make_node(2), make_node(3)])
    handle_nodes(NodeCommand("n3", remove=True), as_json=False)
    assert changes == [("n3", {"availability": "drain"}), ("n3", {"role": "worker"}), ("n3", "removed")]


@pytest.mark.parametrize(
    ("name", "services", "told"),
    [
        ("n1", (), "n1 is this machine. Type the same on another manager"),
        ("n2", ("node.hostname==n2",), r"tidegate_rabbit2 may run on n2 only, where its volume is"),
        ("n2", (), "most managers would be away"),
    ],
)
def test_what_would_break_the_stack_is_not_removed(
    fake: FakeEngine, changes: list[Any], name: str, services: tuple[str, ...], told: str
) -> None:
    serve(
        fake,
        [make_node(1), make_node(2), make_node(3, state="down")],
        [make_service("tidegate_rabbit2", *services)],
    )
    with pytest.raises(HostError, match=told):
        handle_nodes(NodeCommand(name, remove=True), as_json=False)
    assert not changes


def test_a_node_that_is_lost_is_removed_with_what_it_kept(
    fake: FakeEngine, changes: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [make_node(1), make_node(2), make_node(3, state="down")]
    serve(fake, nodes, [make_service("tidegate_rabbit3", "node.id == id3")])
    handle_nodes(NodeCommand("n3", remove=True), as_json=False)
    assert changes[-1] == ("n3", "removed")
    assert "tidegate_rabbit3 was kept on n3" in capsys.readouterr().err


def make_manager(number: int, *, reachable: bool = True) -> Node:
    reachability = "reachable" if reachable else "unreachable"
    return Node(f"id{number}", f"n{number}", "manager", "active", "ready", "", {}, reachability=reachability)


def test_a_manager_that_is_away_may_always_go() -> None:
    nodes = [make_manager(1), make_manager(2), make_manager(3, reachable=False)]
    assert keeps_majority(nodes[2], nodes)
    assert not keeps_majority(nodes[1], nodes)


@pytest.mark.parametrize(("number", "told"), [(1, ""), (2, "Add a third"), (3, ""), (4, "4 managers may lose no more")])
def test_a_number_of_managers_that_lets_none_be_lost_is_told(number: int, told: str) -> None:
    advice = advise_on_managers([make_manager(one) for one in range(number)])
    assert told in advice
    assert bool(told) == bool(advice)


def test_what_to_type_on_the_next_machine(
    fake: FakeEngine, changes: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    serve(fake, [make_node(1)])
    print_join(is_manager=False)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "./bootstrap provision --swarm --bind 127.0.0.1",
        "docker swarm join --token SWMTKN-worker 10.77.0.11:2377",
    ]
    assert "`invoke join --manager` adds others" in shown.err
    print_join(is_manager=True)
    assert "--token SWMTKN-manager" in capsys.readouterr().out
