"""The gallery, and Nuclio's templates with values put in."""

from base64 import b64decode
from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from tests.unit.dashboard.serving import Client

PATH = "/api/function_templates"


def render(client: Client, template: str, **values: Any) -> Any:
    return client.send("POST", f"{PATH}/render", {"template": template, "values": values}).json


def test_gallery_has_a_template_for_each_trigger_and_the_example(client: Client) -> None:
    gallery = client.send("GET", PATH).json
    assert {"http", "amqp", "mqtt", "cron", "temperaturealert", "amqpconsume"} <= set(gallery)
    assert sorted(gallery["http"]) == ["metadata", "template", "values"]
    assert gallery["http"]["values"]["name"]["kind"] == "string"
    example = gallery["temperaturealert"]["rendered"]
    assert sorted(example) == ["metadata", "spec"]
    assert b"def handler" in b64decode(example["spec"]["build"]["functionSourceCode"])


@pytest.mark.parametrize("suffix", ["", "-nodejs"])
@pytest.mark.parametrize("kind", ["http", "amqp", "mqtt", "cron"])
def test_each_template_of_the_gallery_becomes_a_function(client: Client, kind: str, suffix: str) -> None:
    template = client.send("GET", PATH).json[kind + suffix]["template"]
    rendered = render(client, template, name="my-function")
    function = parse_model(FunctionConfig, rendered, name=kind)
    assert function.metadata.name == "my-function"
    assert (b"exports.handler" if suffix else b"def handler") in function.spec.build.source


def test_gallery_is_filtered_by_a_text(client: Client) -> None:
    assert list(client.send("GET", PATH, X_Nuclio_Filter_Contains="rabbit-mq").json) == [
        "amqp",
        "amqp-nodejs",
        "amqpconsume",
        "mqttconsume",
        "temperaturealert",
    ]
    assert client.send("GET", PATH, X_Nuclio_Filter_Contains="nothing like it").json == {}


def test_what_cannot_be_rendered_is_said(client: Client) -> None:
    answer = client.send("POST", f"{PATH}/render", {"template": "a: {{ range .b }}", "values": {}})
    assert answer.status == 400
    assert "only the name of a value is understood here" in answer.json["errorStackTrace"]
    assert client.send("POST", f"{PATH}/render", {"values": {}}).json["error"] == "body: template: is required"
