"""What an engine answers about a Swarm."""

from collections.abc import Sequence
from typing import Any

from tests.unit.docker.fake_engine import FakeEngine


def make_info(*, state: str = "active", is_manager: bool = True, node: str = "id1") -> dict[str, Any]:
    managers = [{"NodeID": "id1", "Addr": "10.77.0.11:2377"}]
    swarm = {"LocalNodeState": state, "ControlAvailable": is_manager, "NodeID": node, "NodeAddr": "10.77.0.11"}
    return {"Swarm": {**swarm, "RemoteManagers": managers}}


def make_node(
    number: int, *, role: str = "manager", state: str = "ready", leader: bool = False, **labels: str
) -> dict[str, Any]:
    reachability = "reachable" if state == "ready" else "unreachable"
    manager = {"Addr": f"10.77.0.1{number}:2377", "Reachability": reachability, "Leader": leader}
    return {
        "ID": f"id{number}",
        "Spec": {"Role": role, "Availability": "active", "Labels": labels},
        "Description": {"Hostname": f"n{number}"},
        "Status": {"State": state, "Addr": "0.0.0.0"},
        **({"ManagerStatus": manager} if role == "manager" else {}),
    }


def make_service(name: str, *constraints: str) -> dict[str, Any]:
    return {
        "ID": f"service-{name}",
        "Spec": {"Name": name, "TaskTemplate": {"Placement": {"Constraints": list(constraints)}}},
    }


def make_task(service: str, node: int, state: str = "running") -> dict[str, Any]:
    return {"ServiceID": f"service-{service}", "NodeID": f"id{node}", "Status": {"State": state}}


def serve(fake: FakeEngine, nodes: Sequence[Any], services: Sequence[Any] = (), tasks: Sequence[Any] = ()) -> None:
    fake.answer("/info", make_info())
    fake.answer("/nodes", nodes)
    fake.answer("/services", services)
    fake.answer("/tasks", tasks)
