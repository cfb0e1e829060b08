"""The JSON Schemas say what the models say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stack.config.function import FunctionConfig
from stack.config.schema import describe_document
from stack.config.settings import Settings
from tests.unit.config.test_function import TUTORIAL

ROOT = Path(__file__).parents[3]
FUNCTION = describe_document(FunctionConfig)
STACK = describe_document(Settings)
EXAMPLES = sorted(ROOT.glob("functions/*/function.yaml"))


def problems(document: Any, schema: dict[str, Any] = FUNCTION) -> list[str]:
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(document)]


def test_schemas_are_schemas() -> None:
    Draft202012Validator.check_schema(FUNCTION)
    Draft202012Validator.check_schema(STACK)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_are_accepted(path: Path) -> None:
    assert problems(yaml.safe_load(path.read_text())) == []


def test_the_tutorials_function_is_accepted() -> None:
    assert EXAMPLES
    assert problems(yaml.safe_load(TUTORIAL)) == []


def test_the_stacks_own_settings_are_accepted() -> None:
    assert problems(yaml.safe_load((ROOT / "stack.yaml").read_text()) or {}, STACK) == []
    assert problems({"ports": {"amqp": "x"}}, STACK) == ["$.ports.amqp"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"handlr": "main:handler"}, "$.spec"),
        ({"handler": "main"}, "$.spec.handler"),
        ({"runtime": "golang"}, "$.spec.runtime"),
        ({"minReplicas": "1"}, "$.spec.minReplicas"),
        ({"env": [{"value": "x"}]}, "$.spec.env[0]"),
        ({"triggers": {"t": {"kind": "nats"}}}, "$.spec.triggers.t"),
        ({"triggers": {"t": {"kind": "mqtt", "attributes": {"subscriptions": []}}}}, "$.spec.triggers.t"),
        ({"build": {"codeEntryType": "svn"}}, "$.spec.build.codeEntryType"),
    ],
)
def test_mistakes_are_refused(spec: dict[str, Any], path: str) -> None:
    assert problems({"spec": spec}) == [path]


def test_keys_are_described() -> None:
    spec = FUNCTION["$defs"]["Spec"]["properties"]
    assert spec["handler"]["description"].startswith("The function to call, as module:function")
    assert spec["nodeName"]["description"] == "This key is for Kubernetes and has no effect here."
    trigger = FUNCTION["$defs"]["RabbitTrigger"]
    assert trigger["description"] == "A queue of an AMQP broker."
    assert trigger["properties"]["numWorkers"]["description"].startswith("How many events it handles at once")
    assert STACK["properties"]["bind"]["description"].startswith("Where ports are published")
