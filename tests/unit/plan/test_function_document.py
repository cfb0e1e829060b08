"""A function as Nuclio's dashboard tells it, and what is left of that to be written."""

from base64 import b64decode
from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import Function, SourceFile
from stack.plan.function import plan_function
from stack.plan.function_export import NuclioFunction, describe_function, is_import, leave_out_derived

SOURCE = "def handler(context, event):\n    return 'é'\n"


def tell(document: dict[str, Any], *, image: str = "") -> NuclioFunction:
    config = parse_model(FunctionConfig, document, name="function.yaml")
    function = Function("thermo", "functions/thermo", config, (SourceFile("main.py", "-:0"),))
    plan = plan_function(function, Settings())
    return NuclioFunction(
        "thermo", plan.namespace, plan.project, config, plan.handler, plan.triggers, SOURCE, image=image
    )


def test_what_clients_look_for_is_there() -> None:
    document = describe_function(tell({}, image="nuclio/processor-thermo:1"))
    assert document["metadata"] == {
        "name": "thermo",
        "namespace": "nuclio",
        "labels": {"nuclio.io/project-name": "default"},
    }
    spec = document["spec"]
    assert b64decode(spec["build"].pop("functionSourceCode")).decode() == SOURCE
    assert spec == {
        "handler": "main:handler",
        "runtime": "python",
        "image": "nuclio/processor-thermo:1",
        "resources": {},
        "build": {"codeEntryType": "sourceCode"},
        "platform": {},
        "eventTimeout": "",
        "triggers": {"default-http": {"class": "", "kind": "http", "name": "default-http", "numWorkers": 1}},
    }


def test_disabled_trigger_is_told_too() -> None:
    triggers = {"in": {"kind": "mqtt", "disabled": True, "attributes": {"subscriptions": [{"topic": "a"}]}}}
    told = describe_function(tell({"spec": {"triggers": triggers}}))["spec"]["triggers"]
    assert sorted(told) == ["default-http", "in"]
    assert told["in"]["disabled"] is True


@pytest.mark.parametrize(
    "written",
    [
        {},
        {
            "metadata": {"labels": {"nuclio.io/project-name": "lab", "a": "b"}},
            "spec": {"minReplicas": 0, "maxReplicas": 2},
        },
        {
            "spec": {
                "handler": "main:handler",
                "runtime": "python:3.11",
                "env": [{"name": "A", "value": "b"}],
                "build": {"commands": ["pip install pika"]},
                "triggers": {
                    "in": {"kind": "cron", "attributes": {"interval": "3s"}, "numWorkers": 4},
                    "web": {"kind": "http", "maxWorkers": 3},
                },
            }
        },
    ],
)
def test_what_was_told_is_written_as_it_was(written: dict[str, Any]) -> None:
    told = tell(written, image="nuclio/processor-thermo:1")
    document = describe_function(told)
    document["metadata"]["resourceVersion"] = "1"
    document["status"] = {"state": "ready"}
    left = leave_out_derived(document, told)
    left["metadata"].pop("name")
    build = left["spec"]["build"]
    assert build.pop("functionSourceCode")
    assert build.pop("codeEntryType") == "sourceCode"
    assert drop_empty(left) == drop_empty(written)


def test_what_differs_from_the_default_is_kept() -> None:
    told = tell({}, image="nuclio/processor-thermo:1")
    document = describe_function(told)
    document["spec"]["image"] = "mine:1"
    document["spec"]["triggers"]["default-http"]["numWorkers"] = 2
    left = leave_out_derived(document, told)
    assert left["spec"]["image"] == "mine:1"
    assert left["spec"]["triggers"]["default-http"] == {"kind": "http", "numWorkers": 2}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [({"skip-deploy": "true"}, True), ({"skip-deploy": "True"}, True), ({"skip-build": "true"}, False), (None, False)],
)
def test_import_is_seen_by_its_mark(annotations: dict[str, str] | None, expected: bool) -> None:
    assert is_import({"metadata": {"annotations": annotations}}) is expected


def drop_empty(value: Any) -> Any:
    """Leave out what says nothing."""
    if not isinstance(value, dict):
        return value
    cleaned = {key: drop_empty(item) for key, item in value.items()}
    return {key: item for key, item in cleaned.items() if item not in ({}, "", None)}
