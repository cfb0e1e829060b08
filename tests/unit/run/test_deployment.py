"""Deployments: what runs is remembered, whatever becomes of its folder."""

from pathlib import Path

import pytest

from stack.config.settings import Settings
from stack.errors import FunctionError
from stack.plan.function import processor_document
from stack.run.deployment import forget_deployment, load_deployments, record_deployment
from stack.run.workspace import Workspace
from tests.unit.plan.samples import make_plan

TRIGGERS = {"in": {"kind": "rabbit-mq", "attributes": {"exchangeName": "e", "topics": ["t"]}}}


def test_nothing_is_deployed(tmp_path: Path) -> None:
    assert load_deployments(Workspace(tmp_path)) == {}


def test_deployment_gives_the_same_plan_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    plan = make_plan(triggers=TRIGGERS, handler="main:run", disableDefaultHTTPTrigger=True)
    record_deployment(workspace, plan, "image:1")
    deployment = load_deployments(workspace)["thermo"]
    again = deployment.plan(Settings())
    assert (deployment.image, again.handler) == ("image:1", "main:run")
    assert processor_document(again) == processor_document(plan)


def test_revisions_are_counted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan("a"), "image:1")
    record_deployment(workspace, make_plan("b"), "image:1")
    record_deployment(workspace, make_plan("a"), "image:2")
    found = load_deployments(workspace)
    assert {name: one.revision for name, one in found.items()} == {"a": 2, "b": 1}
    forget_deployment(workspace, "a")
    forget_deployment(workspace, "a")
    assert set(load_deployments(workspace)) == {"b"}


def test_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan("a"), "image:1")
    (workspace.state / "functions" / "a.json").write_text("{")
    with pytest.raises(FunctionError, match=r"a\.json cannot be read\. Remove it, .* invoke deploy-function a\."):
        load_deployments(workspace)
