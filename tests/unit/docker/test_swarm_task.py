"""Tasks of Docker Swarm, read as containers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from stack.docker.container import Container
from stack.docker.swarm.engine import SwarmEngine
from stack.docker.swarm.task import Swarm, read_tasks
from stack.docker.swarm.update import Goal, UpdateWatch, is_done
from stack.plan.diff import Action, Running, Wanted, find_changes
from stack.plan.stack import DEFINITION_LABEL
from stack.plan.swarm import IMAGE_LABEL
from tests.unit.docker.fake_engine import FakeEngine
from tests.unit.docker.swarm_documents import serve

NODES = {
    name: {"ID": name, "Description": {"Hostname": name}, "Status": {"State": "ready", "Addr": f"10.0.0.{name[1]}"}}
    for name in ("n1", "n2")
}
SWARM = Swarm("p", {"s": {"ID": "s", "Spec": {"Name": "p_function-thermo"}}}, NODES, here="n1")


def make_task(
    name: str,
    state: str = "running",
    *,
    desired: str = "running",
    slot: int = 1,
    node: str = "n1",
    definition: str = "a",
) -> dict[str, Any]:
    return {
        "ID": f"task-{name}",
        "CreatedAt": name,
        "ServiceID": "s",
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Labels": {DEFINITION_LABEL: definition, IMAGE_LABEL: "thermo:1"}}},
        "Status": {
            "State": state,
            "Message": state,
            "ContainerStatus": {"ContainerID": f"container-{name}"},
            "PortStatus": {"Ports": [{"PublishedPort": 8080, "TargetPort": 8080, "Protocol": "tcp"}]},
        },
        "NetworksAttachments": [{"Network": {"Spec": {"Name": "p_default"}}, "Addresses": ["10.0.1.7/24"]}],
    }


def read(*tasks: dict[str, Any]) -> list[Container]:
    return list(read_tasks(tasks, SWARM))


def test_running_task_is_a_healthy_container() -> None:
    (one,) = read(make_task("1"))
    assert (one.id, one.task, one.name) == ("container-1", "task-1", "p_function-thermo.1")
    assert (one.service, one.image, one.definition) == ("function-thermo", "thermo:1", "a")
    assert (one.is_ready, one.condition, one.node) == (True, "healthy", "")
    assert (one.network_address, one.address(8080)) == ("10.0.1.7", "127.0.0.1:8080")


def test_task_of_another_machine_says_so() -> None:
    (one,) = read(make_task("1", node="n2"))
    assert (one.node, one.address(8080)) == ("n2", "10.0.0.2:8080")


def test_task_whose_health_check_is_not_well_yet_is_starting() -> None:
    (one,) = read(make_task("1", "starting"))
    assert (one.is_running, one.is_ready, one.condition) == (True, False, "starting")


def test_task_without_a_machine_is_pending() -> None:
    (one,) = read(make_task("1", "pending", node=""))
    assert (one.is_running, one.is_stopped, one.condition) == (False, False, "pending")


def test_past_tasks_are_no_containers() -> None:
    found = read(make_task("1", "shutdown", desired="shutdown"), make_task("2"))
    assert [one.task for one in found] == ["task-2"]


def test_task_that_is_started_again_and_again_has_failed() -> None:
    found = read(make_task("1", "failed", desired="shutdown"), make_task("2", "ready", desired="ready"))
    assert [(one.task, one.has_failed) for one in found] == [("task-1", True)]


def test_failure_of_another_definition_is_over() -> None:
    found = read(make_task("1", "failed", desired="shutdown", definition="b"), make_task("2", "starting"))
    assert [one.condition for one in found] == ["starting"]


def test_machine_that_refuses_once_is_no_failure() -> None:
    refused = [make_task(str(number), "rejected", desired="shutdown") for number in range(3)]
    assert not read(refused[0], make_task("9", "preparing"))[0].has_failed
    assert read(*refused, make_task("9", "preparing"))[0].has_failed


def test_update_is_done_when_all_are_new() -> None:
    goal = Goal("b", replicas=2, seconds=1.0)
    old, new = make_task("1"), make_task("2", slot=2, definition="b")
    assert not is_done([old, new], goal, is_global=False)
    ending = make_task("1", desired="shutdown")
    other = make_task("3", definition="b")
    assert not is_done([ending, new], goal, is_global=False)
    assert not is_done([ending, new, {**other, "Status": {"State": "starting"}}], goal, is_global=False)
    assert is_done([ending, new, other], goal, is_global=False)


def test_global_service_is_done_when_each_machine_has_it() -> None:
    goal = Goal("b", replicas=1, seconds=1.0)
    here, there = (make_task(name, slot=0, node=name, definition="b") for name in ("n1", "n2"))
    assert is_done([here, there], goal, is_global=True)
    assert not is_done([here, {**there, "Status": {"State": "preparing"}}], goal, is_global=True)
    assert not is_done([], goal, is_global=True)


def test_service_whose_tasks_are_not_known_yet_is_waited_for(fake: FakeEngine, tmp_path: Path) -> None:
    labels = {DEFINITION_LABEL: "a"}
    spec = {"Name": "p_function-thermo", "Mode": {}, "TaskTemplate": {"ContainerSpec": {"Labels": labels}}}
    serve(fake, [], [{"ID": "s", "Spec": spec}])
    watch = UpdateWatch(SwarmEngine("p", tmp_path / "swarm.yaml"), {"function-thermo": Goal("b", 1, 60.0)})
    assert watch.look() == {}
    watch._began -= 31
    assert watch.look() == {"function-thermo": "Docker did not start it."}


def test_gateway_of_each_machine_is_no_surplus() -> None:
    running = [Running(str(number), "gateway", "a", is_running=True) for number in range(3)]
    assert find_changes([Wanted("gateway", "a", is_global=True)], running)[0].action is Action.KEEP
    assert find_changes([Wanted("gateway", "a")], running)[0].action is Action.REMOVE
    assert find_changes([Wanted("gateway", "b", is_global=True)], running)[0].action is Action.REPLACE


def test_container_of_this_machine_is_reached_by_the_bridge_that_leads_out(fake: FakeEngine, tmp_path: Path) -> None:
    ends = {"1a": {"IPv4Address": "172.18.0.3/16"}, "ingress-sbox": {"IPv4Address": "172.18.0.2/16"}}
    fake.answer("/networks/docker_gwbridge", {"Containers": ends})
    engine = SwarmEngine("p", tmp_path / "swarm.yaml")
    here = Container("1a", "", "i", "running", "", "", "devices", "", "", "", "")
    assert engine.address(here, "control") == "172.18.0.3"
    assert engine.address(replace(here, id="gone"), "control") == ""
