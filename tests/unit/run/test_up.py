"""Which functions `up` gives new containers beside the old."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.errors import HostError
from stack.plan.diff import Action, Change
from stack.plan.stack import Service, plan_service
from stack.run.up import Survey, apply, find_renewal
from stack.state.workspace import Workspace
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


def test_a_project_that_another_workspace_has_started_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.run.up.open_driver", driver := Mock())
    other = Workspace(tmp_path / "other")
    other.rendered.mkdir(parents=True)
    (other.rendered / "compose.yaml").touch()
    stack = Mock(workspace=Workspace(tmp_path / "own"), settings=Settings())
    stack.engine.listed.return_value = (Mock(folder=str(other.rendered)),)
    with pytest.raises(HostError, match=r"The project tidegate runs from .*other\. Choose another `project`"):
        apply(Survey(stack, {}, (), (), ()))
    driver.assert_not_called()
