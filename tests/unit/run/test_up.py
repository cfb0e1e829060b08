"""Which functions `up` gives new containers beside the old."""

from pathlib import Path
from typing import Any

from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.plan.diff import Action, Change
from stack.plan.stack import Service, plan_service
from stack.run.up import find_renewal
from tests.unit.plan.samples import make_plan, make_vault

ENGINE = Engine("p", Path("compose.yaml"))


def serve(name: str, *, is_deployed: bool = True, **spec: Any) -> Service:
    plan = make_plan(name, **spec)
    return plan_service(plan, Settings(), image="i", vault=make_vault(), is_deployed=is_deployed)


def contain(name: str, id_: str, state: str = "running") -> Container:
    return Container(id_, "", "i", state, "", "", f"function-{name}", "0", "", "", name)


def replace(name: str, *older: str) -> Change:
    return Change(f"function-{name}", Action.REPLACE, "its secrets changed", older=older)


def test_functions_that_run_are_renewed() -> None:
    services = [serve("a"), serve("b"), serve("kept")]
    containers = [contain("a", "1"), contain("a", "2", "exited"), contain("b", "3"), contain("kept", "4")]
    changes = [replace("a", "1", "2"), replace("b", "3"), Change("function-kept", Action.KEEP, "runs as rendered")]
    renewal = find_renewal(ENGINE, changes, services=services, containers=containers)
    assert {name: [one.id for one in own] for name, own in renewal.older.items()} == {
        "function-a": ["1", "2"],
        "function-b": ["3"],
    }
    assert renewal.older_ids == {"1", "2", "3"}


def test_others_make_way_first() -> None:
    ported = serve("ported", triggers={"web": {"kind": "http", "attributes": {"port": 30123}}})
    services = [ported, serve("still"), serve("undeployed", is_deployed=False)]
    containers = [contain("ported", "1"), contain("still", "2", "exited"), contain("undeployed", "3")]
    changes = [
        *(replace("ported", "1"), replace("still", "2"), replace("undeployed", "3")),
        Change("rabbitmq-mqtt", Action.REPLACE, "its files changed", older=("9",)),
    ]
    assert find_renewal(ENGINE, changes, services=services, containers=[*containers]).older == {}
