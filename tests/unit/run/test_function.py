"""Queues of functions that are about to be deployed: looked at beside those of what is deployed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack.config.settings import Settings
from stack.errors import AccessError, ConfigError
from stack.plan.function import FunctionPlan
from stack.run.function import check_function_queues
from tests.unit.plan.samples import make_plan

QUEUE = "spec: {triggers: {t: {kind: rabbit-mq, attributes: {queueName: q}}}}\n"


def make(name: str, queue: str, *, origin: str = "") -> FunctionPlan:
    plan = make_plan(name, triggers={"t": {"kind": "rabbit-mq", "attributes": {"queueName": queue}}})
    return replace(plan, function=replace(plan.function, origin=origin))


def make_stack(root: Path, *deployed: FunctionPlan) -> Any:
    deployments = {one.name: SimpleNamespace(plan=lambda _settings, one=one: one) for one in deployed}
    return SimpleNamespace(deployments=deployments, settings=Settings(), workspace=SimpleNamespace(root=root))


def test_deployed_and_planned_functions_count_but_not_the_version_before(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, make("old", "q"), make("same", "q.dead"))
    check_function_queues(stack, make("same", "other"))
    with pytest.raises(ConfigError, match=r"a queue of the function old; choose another"):
        check_function_queues(stack, make("new", "q.dead"))
    with pytest.raises(ConfigError, match=r"functions/coming.*a queue of the function new; choose another"):
        check_function_queues(stack, make("new", "w"), planned=[make("coming", "w.dead"), make("new", "w.dead")])


def test_fetched_code_is_asked_for_its_own_function_yaml(tmp_path: Path) -> None:
    stack, fetched = make_stack(tmp_path, make("old", "q")), make("far", "q", origin="https://code.example/")
    with pytest.raises(AccessError, match=r"write the same into functions/far/function\.yaml"):
        check_function_queues(stack, fetched)
    folder = tmp_path / "functions" / "far"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text(QUEUE)
    check_function_queues(stack, fetched)
