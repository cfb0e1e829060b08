"""The JSON Schemas say what the models say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel

from stack.config.document import NuclioDocument
from stack.config.function import FunctionConfig
from stack.config.schema import describe_document
from stack.config.settings import Settings
from tests.unit.config.test_function import TUTORIAL

ROOT = Path(__file__).parents[3]
FUNCTION = describe_document(FunctionConfig)
STACK = describe_document(Settings)
EXAMPLES = sorted(ROOT.glob("functions/*/function.yaml"))


def problems(document: Any, schema: dict[str, Any] = FUNCTION) -> list[str]:
    return [_look_beside_null(error).json_path for error in Draft202012Validator(schema).iter_errors(document)]


def _look_beside_null(error: ValidationError) -> ValidationError:
    inner = [one for one in error.context or () if one.validator_value != "null"]
    return _look_beside_null(inner[0]) if error.validator == "anyOf" and inner else error


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
        ({"handler": "main:"}, "$.spec.handler"),
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


def _models(kind: type[BaseModel] = NuclioDocument) -> Iterator[type[BaseModel]]:
    for model in kind.__subclasses__():
        yield from (model, *_models(model))


def _takes_null(model: type[BaseModel], key: str) -> bool:
    return not problems(None, {**FUNCTION["$defs"][model.__name__]["properties"][key], "$defs": FUNCTION["$defs"]})


def test_null_stands_for_each_key_that_may_be_left_out() -> None:
    keys = [
        (model, field.alias or name, field.is_required())
        for model in _models()
        if model.__name__ in FUNCTION["$defs"]
        for name, field in model.model_fields.items()
    ]
    assert len(keys) > len(FUNCTION["$defs"])
    assert [(model, key) for model, key, is_required in keys if _takes_null(model, key) is is_required] == []


def test_nulls_of_nuclios_exports_are_accepted() -> None:
    assert (
        problems({"metadata": {"labels": None, "annotations": {"a": None}}, "spec": {"env": None, "build": None}}) == []
    )
    assert problems({"spec": {"build": {"commands": [None]}}}) == ["$.spec.build.commands[0]"]


def test_keys_are_described() -> None:
    spec = FUNCTION["$defs"]["Spec"]["properties"]
    assert spec["handler"]["description"].startswith("The function to call: module:function of Python")
    assert spec["nodeName"]["description"] == "This key is for Kubernetes and has no effect here."
    trigger = FUNCTION["$defs"]["RabbitTrigger"]
    assert trigger["description"] == "A queue of an AMQP broker."
    assert trigger["properties"]["numWorkers"]["description"].startswith("How many events it handles at once")
    assert STACK["properties"]["bind"]["description"].startswith("Where ports are published")
