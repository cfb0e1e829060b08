"""function.yaml: the shape of Nuclio's function configuration."""

import base64
from typing import Any

import pytest
import yaml

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.inert import find_inert
from stack.config.trigger import HttpTrigger, MqttTrigger, RabbitTrigger
from stack.errors import ConfigError

# The tutorial's own function.yaml, with every key it uses.
TUTORIAL = """
apiVersion: "nuclio.io/v1"
kind: "NuclioFunction"
metadata:
  name: amqpconsume
  namespace: nuclio
  labels: {nuclio.io/project-name: default}
spec:
  description: consumes
  runtime: "python:3.9"
  handler: main:handler
  minReplicas: 1
  maxReplicas: 1
  env: [{name: LEVEL, value: 5}, {name: URL, valueFrom: {secretKeyRef: {name: broker, key: url}}}]
  build:
    commands: [pip install pika]
  triggers:
    sensors:
      kind: rabbit-mq
      url: amqp://guest:guest@rabbitmq-mqtt:5672
      maxWorkers: 2
      attributes: {exchangeName: iot/sensors, queueName: iot/sensors, topics: [temperature]}
    web: {kind: http, attributes: {port: 31000}}
    other: {kind: mqtt, url: mqtt://rabbitmq-mqtt:1883, attributes: {subscriptions: [{topic: iot/#, qos: 1}]}}
"""


def parse(document: Any) -> FunctionConfig:
    document = yaml.safe_load(document) if isinstance(document, str) else document
    return parse_model(FunctionConfig, document, "function.yaml")


def problems_of(document: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    return [problem.removeprefix("function.yaml: ") for problem in caught.value.problems]


def trigger(**content: Any) -> dict[str, Any]:
    return {"spec": {"triggers": {"t": content}}}


def test_tutorials_function_is_understood() -> None:
    config = parse(TUTORIAL)
    assert config.metadata.name == "amqpconsume"
    assert [type(one) for one in config.spec.triggers.values()] == [RabbitTrigger, HttpTrigger, MqttTrigger]
    assert config.spec.triggers["sensors"].workers == 2
    assert config.spec.env[0].value == "5"
    assert list(find_inert(config)) == []


def test_keys_are_read_whatever_their_case() -> None:
    config = parse({"spec": {"MinReplicas": 1, "disabledefaulthttptrigger": True, "Triggers": {}}})
    assert config.spec.disable_default_http_trigger


@pytest.mark.parametrize(
    ("key", "hint"),
    [("handlr", "did you mean 'handler'?"), ("trigers", "did you mean 'triggers'?"), ("zzz", "known here: affinity, ")],
)
def test_unknown_key_names_the_nearest(key: str, hint: str) -> None:
    (problem,) = problems_of({"spec": {key: 1}})
    assert problem.startswith(f"spec.{key}: is not a known key; {hint}")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"spec": {"env": {"A": "b"}}}, "spec.env: should be a list of mappings, not {'A': 'b'}"),
        ({"spec": {"env": [{"value": "b"}]}}, "spec.env.0.name: is required"),
        ({"spec": {"env": [{"name": "A", "value": True}]}}, "spec.env.0.value: should be a text, not True"),
        ({"spec": {"handler": "handler"}}, "spec.handler: should be module:function, such as main:handler"),
        ({"spec": {"runtime": "golang"}}, "spec.runtime: 'golang' is not supported; Tidegate runs python and "),
        ({"spec": {"replicas": -1}}, "spec.replicas: should be greater than or equal to 0"),
        ({"spec": {"minReplicas": 3, "maxReplicas": 2}}, "spec: minReplicas should be at most maxReplicas"),
        ({"spec": {"eventTimeout": "soon"}}, "spec.eventTimeout: should be a duration such as 500ms, 10s or 1h30m"),
        ({"metadata": {"name": "a b"}}, "metadata.name: should be at most 63 letters, digits, "),
        ({"metadata": {"name": "a" * 64}}, "metadata.name: should be at most 63 letters, digits, "),
        ({"metadata": {"name": "dashboard"}}, "metadata.name: 'dashboard' is reserved; choose another name"),
        ({"spec": {"build": {"functionSourceCode": "a"}}}, "spec.build.functionSourceCode: should be Python source in"),
        ({"spec": {"build": {"codeEntryType": "git"}}}, "spec.build.codeEntryType: 'git' is not supported yet; put"),
        ({"spec": {"build": {"commands": "pip"}}}, "spec.build.commands: should be a list of strings, not 'pip'"),
        (trigger(kind="kafka"), "spec.triggers.t: kind 'kafka' is not supported yet; supported: http, rabbit-mq, mqtt"),
        (
            trigger(kind="nats"),
            "spec.triggers.t: kind 'nats' is not supported yet; supported: http, rabbit-mq, mqtt, cron",
        ),
        (
            trigger(kind="cron", attributes={}),
            "spec.triggers.t.attributes: needs a schedule, such as '*/5 * * * *', or",
        ),
        (
            trigger(kind="mqtt", attributes={"subscriptions": [{"topic": "a"}], "clientKey": "k"}),
            "spec.triggers.t.attributes: a clientKey needs its clientCertificate",
        ),
        (trigger(), "spec.triggers.t.kind: is required"),
        (trigger(kind="mqtt"), "spec.triggers.t.attributes: is required"),
        (
            trigger(kind="mqtt", attributes={"subscriptions": []}),
            "spec.triggers.t.attributes.subscriptions: list should have at least 1 item",
        ),
        (
            trigger(kind="rabbit-mq", attributes={"topics": "temperature"}),
            "spec.triggers.t.attributes.topics: should be a list of strings, not 'temperature'",
        ),
        (
            trigger(kind="rabbit-mq", attributes={"topics": ["temperature"]}),
            "spec.triggers.t.attributes: topics need an exchangeName to be bound to",
        ),
        (trigger(kind="http", name="u"), "spec.triggers: the trigger 't' is named 'u'; both should be the same"),
        (
            {"spec": {"triggers": {"a": {"kind": "http"}, "b": {"kind": "http"}}}},
            "spec.triggers: a function can have one http trigger only",
        ),
        (
            {"spec": {"volumes": [{"volume": {"name": "a", "hostPath": {"path": "/"}}, "volumeMount": {}}]}},
            "spec.volumes.0.volumeMount.name: is required",
        ),
    ],
)
def test_mistake(document: dict[str, Any], problem: str) -> None:
    assert problems_of(document)[0].startswith(problem)


def test_all_mistakes_are_told() -> None:
    found = problems_of({"metadata": {"name": "!"}, "spec": {"env": 5, "handlr": "x"}, "speck": {}})
    assert [one.partition(":")[0] for one in found] == ["metadata.name", "spec.env", "spec.handlr", "speck"]


@pytest.mark.parametrize(
    ("content", "workers"),
    [
        ({}, 1),
        ({"numWorkers": 4}, 4),
        ({"maxWorkers": 3}, 3),
        ({"numWorkers": 4, "maxWorkers": 3}, 4),
        ({"numWorkers": 0}, 1),
    ],
)
def test_workers(content: dict[str, Any], workers: int) -> None:
    assert parse(trigger(kind="http", **content)).spec.triggers["t"].workers == workers


@pytest.mark.parametrize("kind", ["rabbit-mq", "rabbitMq", "rabbitmq"])
def test_every_name_of_rabbitmq(kind: str) -> None:
    assert isinstance(parse(trigger(kind=kind)).spec.triggers["t"], RabbitTrigger)


@pytest.mark.parametrize(
    ("attributes", "annotations", "is_published"),
    [
        ({}, {}, True),
        ({"disablePortPublishing": True}, {}, False),
        ({}, {"nuclio.io/disable-port-publishing": "true"}, False),
        ({"port": 8000, "disablePortPublishing": True}, {}, True),
    ],
)
def test_http_is_published(attributes: dict[str, Any], annotations: dict[str, str], is_published: bool) -> None:
    config = parse(trigger(kind="http", attributes=attributes, annotations=annotations))
    http = config.spec.triggers["t"]
    assert isinstance(http, HttpTrigger)
    assert http.is_published is is_published


def test_inline_source_has_unix_line_ends() -> None:
    code = base64.b64encode(b"a\r\nb\n").decode()
    assert parse({"spec": {"build": {"functionSourceCode": code}}}).spec.build.source == b"a\nb\n"


def test_keys_without_effect_are_told() -> None:
    config = parse(
        {
            "spec": {
                "avatar": "x",
                "nodeName": "",
                "resources": {"requests": {"cpu": 1}},
                "triggers": {"t": {"kind": "http", "class": "sync", "attributes": {"serviceType": "NodePort"}}},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            }
        }
    )
    assert sorted(find_inert(config)) == [
        "spec.avatar has no effect on Docker",
        "spec.env.0.valueFrom.fieldRef is for Kubernetes and has no effect here",
        "spec.resources.requests has no effect on Docker; use limits",
        "spec.triggers.t.attributes.serviceType is for Kubernetes",
        "spec.triggers.t.class is ignored, as in Nuclio",
    ]


def test_http_attributes_that_the_processor_reads_are_checked() -> None:
    cors = {"enabled": True, "allowOrigins": ["http://a"], "preflightMaxAgeSeconds": -1}
    attributes = {"cors": cors, "readBufferSize": 4096, "hideTraceback": True}
    batch = {"mode": "enable", "batchSize": 5, "timeout": "200ms"}
    config = parse(trigger(kind="http", attributes=attributes, batch=batch, workerAvailabilityTimeoutMilliseconds=0))
    assert list(find_inert(config)) == []
    http = config.spec.triggers["t"]
    assert isinstance(http, HttpTrigger) and http.attributes.cors.allow_origins == ["http://a"]
    path = "spec.triggers.t.attributes.cors.allowOrigin: is not a known key; did you mean 'allowOrigins'?"
    assert problems_of(trigger(kind="http", attributes={"cors": {"allowOrigin": []}})) == [path]


def test_log_sinks_say_level_and_form() -> None:
    sinks: list[dict[str, Any]] = [{"level": "info", "encoding": "json"}, {"attributes": {"encoding": "json"}}]
    config = parse({"spec": {"loggerSinks": sinks, "eventTimeout": "2s"}})
    assert list(find_inert(config)) == []
    assert config.spec.logger_sinks[1].attributes.encoding == "json"
    wrong = "spec.loggerSinks.0.encoding: should be one of console, json, not 'xml'"
    assert problems_of({"spec": {"loggerSinks": [{"encoding": "xml"}]}}) == [wrong]
