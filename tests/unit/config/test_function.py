"""function.yaml: the shape of Nuclio's function configuration."""

import base64
from typing import Any

import pytest

from stack.config.build import CodeEntryAttributes
from stack.config.container import find_unheeded_limits
from stack.config.document import find_ignored, parse_model
from stack.config.function import FunctionConfig
from stack.config.scaling import Bounds, find_unheeded
from stack.config.trigger.http import HttpTrigger
from stack.config.trigger.mqtt import MqttTrigger, find_unheeded_topics
from stack.config.trigger.rabbitmq import RabbitTrigger
from stack.config.yaml_loader import parse_mapping
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
    document = parse_mapping(document, "function.yaml") if isinstance(document, str) else document
    return parse_model(FunctionConfig, document, name="function.yaml")


def problems_of(document: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    return [problem.removeprefix("function.yaml: ") for problem in caught.value.problems]


def trigger(**content: Any) -> dict[str, Any]:
    return {"spec": {"triggers": {"t": content}}}


def rabbit(*, url: str = "", **attributes: Any) -> dict[str, Any]:
    return trigger(kind="rabbit-mq", url=url, attributes=attributes)


def mqtt(topic: str = "a", *, url: str = "", **attributes: Any) -> dict[str, Any]:
    return trigger(kind="mqtt", url=url, attributes={"subscriptions": [{"topic": topic}], **attributes})


def cron(**attributes: Any) -> dict[str, Any]:
    return trigger(kind="cron", attributes=attributes)


def build(**content: Any) -> dict[str, Any]:
    return {"spec": {"build": content}}


def platform(**attributes: Any) -> dict[str, Any]:
    return {"spec": {"platform": {"attributes": attributes}}}


def limits(**content: Any) -> dict[str, Any]:
    return {"spec": {"resources": {"limits": content}}}


def metric(**content: Any) -> dict[str, Any]:
    return {"spec": {"autoScaleMetrics": [content]}}


def volumes(*mounts: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "spec": {
            "volumes": [
                {"volume": {"name": name, "hostPath": {"path": path}}, "volumeMount": {"name": name, "mountPath": to}}
                for name, path, to in mounts
            ]
        }
    }


def test_tutorials_function_is_understood() -> None:
    config = parse(TUTORIAL)
    assert config.metadata.name == "amqpconsume"
    assert [type(one) for one in config.spec.triggers.values()] == [RabbitTrigger, HttpTrigger, MqttTrigger]
    assert config.spec.triggers["sensors"].workers == 2
    assert config.spec.env[0].value == "5"
    assert list(find_ignored(config)) == []


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
        *(
            ({"spec": {"devices": ["/dev/null", text]}}, "spec.devices.1: should be HOST, HOST:CONTAINER or HOST:")
            for text in ("ttyUSB0::::", "ttyUSB0", "/dev/a:", "/dev/a:/dev/b:", "/dev/a:/dev/b:rx", "/dev/a:r", "")
        ),
        (
            trigger(kind="http", workerTerminationTimeout="99999999h"),
            "spec.triggers.t.workerTerminationTimeout: should be a duration of at most 2562047h, not '99999999h'",
        ),
        (
            platform(healthCheckInterval="999us"),
            "spec.platform.attributes.healthCheckInterval: should be at least 1ms, not '999us'",
        ),
        (
            platform(restartPolicy={"maximumRetryCount": 2**31}),
            "spec.platform.attributes.restartPolicy.maximumRetryCount: should be less than or equal to 2147483647",
        ),
        *(
            ({"spec": {"securityContext": {key: 2**31}}}, f"spec.securityContext.{key}: should be less than or equal")
            for key in ("runAsUser", "runAsGroup", "fsGroup")
        ),
        (
            limits(memory="5Mi"),
            "spec.resources.limits: memory should be at least 6Mi, the least that Docker gives, not '5Mi'",
        ),
        (limits(memory="99999999999Ti"), "spec.resources.limits: memory should be less than 8Ei, not '99999999999Ti'"),
        (limits(cpu="9m"), "spec.resources.limits: cpu should be at least 10m, the least that Docker gives, not '9m'"),
        *(
            (
                volumes(("a", "/x", path)),
                f"spec.volumes.0.volumeMount.mountPath: should be a path below /, such as /data, not '{path}'",
            )
            for path in ("/", "//", "/a/..")
        ),
        (
            volumes(("a", "/x", "/y"), ("b", "/z", "/y/")),
            "spec.volumes.1.volumeMount.mountPath: another volume is mounted at '/y/' already",
        ),
        ({"spec": {"env": {"A": "b"}}}, "spec.env: should be a list of mappings, not {'A': 'b'}"),
        (
            {"spec": {"volumes": [{"volume": {"name": "a", "persistentVolumeClaim": {"claimName": "A b"}}}]}},
            "spec.volumes.0.volume.persistentVolumeClaim.claimName: should be a name of small letters, digits, - and .",
        ),
        ({"spec": {"env": [{"value": "b"}]}}, "spec.env.0.name: is required"),
        (
            cron(schedule="every 5 minutes"),
            "spec.triggers.t.attributes.schedule: should be such as '*/5 * * * *', @hourly or @every 90s, not 'every",
        ),
        (cron(schedule="@every soon"), "spec.triggers.t.attributes.schedule: should be such as '*/5 * * * *', "),
        (cron(schedule="@hourly", timezone="Mars/Base"), "spec.triggers.t.attributes.timezone: there is no time zone"),
        (cron(schedule="TZ=Mars/Base @hourly"), "spec.triggers.t.attributes.schedule: should be such as "),
        (cron(interval="0s"), "spec.triggers.t.attributes: needs a schedule, such as "),
        ({"spec": {"env": [{"name": "A", "value": [1]}]}}, "spec.env.0.value: should be a text, not [1]"),
        ({"spec": {"build": {"commands": [None]}}}, "spec.build.commands.0: should be a text, not empty"),
        (
            {"spec": {"env": [{"name": "A", "value": "b", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}},
            "spec.env.0: A has a value and a valueFrom; leave one out",
        ),
        ({"spec": {"env": [{"name": "A", "valueFrom": {}}]}}, "spec.env.0.valueFrom: should have one source, such as"),
        ({"spec": {"envFrom": [{"prefix": "A"}]}}, "spec.envFrom.0: should have one source, such as secretRef"),
        ({"spec": {"handler": "handler"}}, "spec.handler: should be module:function, such as main:handler"),
        ({"spec": {"runtime": "golang"}}, "spec.runtime: 'golang' is not supported; Tidegate runs python and "),
        ({"spec": {"runtime": "python:3.6"}}, "spec.runtime: 'python:3.6' is not supported; Tidegate runs python and "),
        ({"spec": {"replicas": -1}}, "spec.replicas: should be greater than or equal to 0"),
        *(
            ({"spec": {key: number}}, f"spec.{key}: should be at most 100: one machine carries no more containers")
            for key in ("replicas", "minReplicas", "maxReplicas")
            for number in (101, 10**26)
        ),
        ({"spec": {"minReplicas": "1"}}, "spec.minReplicas: should be a whole number, not '1'"),
        ({"spec": {"minReplicas": 3, "maxReplicas": 2}}, "spec.minReplicas: 3 is more than maxReplicas, 2"),
        ({"spec": {"maxReplicas": 0}}, "spec.maxReplicas: should be at least 1; `disable: true` stops a function"),
        ({"spec": {"minReplicas": 0}}, "spec.maxReplicas: is required beside minReplicas 0"),
        (
            {"spec": {"minReplicas": 0, "maxReplicas": 1, "disableDefaultHTTPTrigger": True}},
            "spec.minReplicas: 0 needs a trigger that wakes the function",
        ),
        ({"spec": {"nodeSelector": {"bad key!": "x"}}}, "spec.nodeSelector: 'bad key!' is no label's name"),
        ({"spec": {"nodeSelector": {"example.com/disk": "x y"}}}, "spec.nodeSelector: 'x y' is no label's value"),
        ({"spec": {"env": [{"name": "A=B", "value": "c"}]}}, "spec.env.0.name: should be a name, without =, not 'A=B'"),
        ({"spec": {"image": "Tide Gate"}}, "spec.image: should be the name of an image, such as "),
        ({"spec": {"build": {"registry": "https://a"}}}, "spec.build.registry: should be a registry, such as "),
        (
            {"spec": {"build": {"path": "http://[bad"}}},
            "spec.build.path: should be an address such as https://code.example/function.zip (Invalid IPv6 URL)",
        ),
        ({"spec": {"Handler": "a:b", "handler": "c:d"}}, "spec: the key 'handler' occurs twice, once as 'handler'"),
        (
            {"spec": {"resources": {"limits": {"cpu": "lots"}}}},
            "spec.resources.limits: cpu should be such as 500m or 2, not 'lots'",
        ),
        (
            {"spec": {"resources": {"limits": {"memory": "64MB"}}}},
            "spec.resources.limits: memory should be such as 64Mi or 1G, not '64MB'",
        ),
        ({"spec": {"triggers": {"": {"kind": "http"}}}}, "spec.triggers.'': a trigger needs a name; its key is empty"),
        ({"meta": {"name": "a"}}, "meta: is not a known key; did you mean 'metadata'?"),
        ({"spec": {"eventTimeout": "soon"}}, "spec.eventTimeout: should be a duration such as 500ms, 10s or 1h30m"),
        ({"metadata": {"name": "a b"}}, "metadata.name: should be at most 63 letters, digits, "),
        ({"metadata": {"name": "a" * 64}}, "metadata.name: should be at most 63 letters, digits, "),
        (
            {"metadata": {"name": "x..y"}},
            "metadata.name: should have only one '.', one or two '_', or any number of '-'",
        ),
        ({"metadata": {"name": "a-_.b"}}, "metadata.name: should have only one '.', one or two '_', or any number of"),
        ({"metadata": {"name": "a___b"}}, "metadata.name: should have only one '.', one or two '_', or any number of"),
        (
            {"metadata": {"annotations": {"tidegate.io/processor": "knative"}}},
            "metadata.annotations: tidegate.io/processor should be one of tidegate, nuclio",
        ),
        (
            {"metadata": {"annotations": {"tidegate.io/cool-down": "soon"}}},
            "metadata.annotations: tidegate.io/cool-down should be a number above 0, not 'soon'",
        ),
        (metric(kind="Pods", threshold=1), "spec.autoScaleMetrics.0.metricName: is required"),
        (metric(metricName="cpu", threshold=1), "spec.autoScaleMetrics.0.kind: is required, such as Pods"),
        (metric(metricName="cpu", kind="Pods"), "spec.autoScaleMetrics.0.threshold: is required"),
        (metric(metricName="cpu", kind="Pods", threshold=0), "spec.autoScaleMetrics.0.threshold: should be greater"),
        (
            {"spec": {"scaleToZero": {"scaleResources": [{"windowSize": "long"}]}}},
            "spec.scaleToZero.scaleResources.0.windowSize: should be a duration such as 500ms, 10s or 1h30m",
        ),
        ({"metadata": {"name": "a\n"}}, "metadata.name: should be at most 63 letters, digits, "),
        ({"spec": {"handler": "main:handler\n"}}, "spec.handler: should be module:function, such as main:handler"),
        ({"metadata": {"name": "dashboard"}}, "metadata.name: 'dashboard' is reserved; choose another name"),
        ({"spec": {"build": {"functionSourceCode": "a"}}}, "spec.build.functionSourceCode: should be source in"),
        *(
            (build(functionSourceCode=text), "spec.build.functionSourceCode: should be source in base64; encode")
            for text in ("def handler(context, event): pass", "YQ", "Y Q==", "YQ==YQ==", "ä")
        ),
        (build(codeEntryType="svn"), "spec.build.codeEntryType: should be one of sourceCode, image, archive, git"),
        (build(codeEntryType="git"), "spec.build.path: is required for codeEntryType git"),
        (build(codeEntryType="image"), "spec.image: is required for codeEntryType image"),
        (build(codeEntryType="sourceCode"), "spec.build.functionSourceCode: is required for codeEntryType sourceCode"),
        (
            build(codeEntryType="github", path="https://a"),
            "spec.build.codeEntryAttributes.branch: is required for codeEntryType github",
        ),
        (
            build(codeEntryType="s3", codeEntryAttributes={"s3Bucket": "a"}),
            "spec.build.codeEntryAttributes.s3ItemKey: is required for codeEntryType s3",
        ),
        (
            build(codeEntryType="git", path="a", codeEntryAttributes={"branch": "a", "tag": "b"}),
            "spec.build.codeEntryAttributes: should have one of branch, tag and reference, not branch and tag",
        ),
        (
            build(codeEntryType="git", path="a", codeEntryAttributes={"brunch": "a"}),
            "spec.build.codeEntryAttributes.brunch: is not a known key; did you mean 'branch'?",
        ),
        ({"spec": {"build": {"commands": "pip"}}}, "spec.build.commands: should be a list of strings, not 'pip'"),
        (trigger(kind="htpp"), "spec.triggers.t: kind 'htpp' is not supported yet; did you mean 'http'?"),
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
        *(
            (rabbit(url=url), "spec.triggers.t.url: should be an address such as amqp://broker.example:5672")
            for url in ("not a url", "http://x", "b:5672", "$BROKER", "amqp://a b")
        ),
        *(
            (
                mqtt(url=url),
                "spec.triggers.t.url: should be an address such as mqtt://broker.example:1883; it may begin",
            )
            for url in ("not a url", "http://x", "amqp://b", "mqtt://", "12", "mqtt://12:1883")
        ),
        *(
            (rabbit(**attributes), f"spec.triggers.t.attributes.{path}: {text}")
            for attributes, path, text in (
                ({"exchangeName": "ä" * 128}, "exchangeName", "should be at most 255 bytes long, not 256"),
                ({"queueName": "ä" * 128}, "queueName", "should be at most 255 bytes long, not 256"),
                ({"exchangeName": "a", "topics": ["b", "a" * 256]}, "topics.1", "should be at most 255 bytes long"),
                ({"exchangeName": "amq.own", "topics": ["a"]}, "exchangeName", "should not begin with amq., which is"),
                (
                    {"exchangeName": "a", "queueName": "amq.own", "topics": ["a"]},
                    "queueName",
                    "should not begin with amq., which is for queues that RabbitMQ names",
                ),
            )
        ),
        (mqtt(queueName="amq.own"), "spec.triggers.t.attributes.queueName: should not begin with amq., which is for"),
        (mqtt("a" * 256), "spec.triggers.t.attributes.subscriptions.0.topic: should be at most 255 bytes long, which"),
        (
            mqtt("a" * 65_536, url="mqtt://far"),
            "spec.triggers.t.attributes.subscriptions.0.topic: should be at most 65535 bytes long, not 65536",
        ),
        (
            trigger(kind="http", batch={"mode": "enable", "batchSize": 65_536}),
            "spec.triggers.t.batch.batchSize: should be less than or equal to 65535",
        ),
        (
            trigger(kind="http", batch={"mode": "enable", "timeout": "99999999h"}),
            "spec.triggers.t.batch.timeout: should be a duration of at most 2562047h",
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
        (trigger(kind="http", name="u"), "spec.triggers.t.name: should be 't', the trigger's key, not 'u'"),
        (
            {"spec": {"triggers": {"a": {"kind": "http"}, "b": {"kind": "http"}}}},
            "spec.triggers.b: a function can have one http trigger only, and 'a' is one",
        ),
        (volumes(("a", "/x", "")), "spec.volumes.0.volumeMount.mountPath: should begin with /"),
        (volumes(("", "/x", "/y")), "spec.volumes.0: volume.name and volumeMount.name should be given, and the same"),
        (volumes(("a", "x", "/y")), "spec.volumes.0.volume.hostPath.path: should begin with /"),
        (
            volumes(("a", "/x", "/y"), ("a", "/z", "/u")),
            "spec.volumes.1.volume: the name 'a' already stands for another volume; choose another",
        ),
        (
            volumes(("a", "/x", "/y"), ("b", "/z", "/y")),
            "spec.volumes.1.volumeMount.mountPath: another volume is mounted at '/y' already",
        ),
        *(
            (
                trigger(kind="mqtt", attributes={"subscriptions": [{"topic": topic}]}),
                f"spec.triggers.t.attributes.subscriptions.0.topic: {rule}, not '{topic}'",
            )
            for topic, rule in {
                "a/#/b": "# should stand alone at the end, as in a/#",
                "a#": "# should stand alone at the end, as in a/#",
                "a+/b": "+ should stand alone between slashes, as in a/+/b",
            }.items()
        ),
        (
            {"spec": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "My.db", "key": "a"}}}]}},
            "spec.env.0.valueFrom.secretKeyRef.name: should be at most 63 lower-case letters",
        ),
        (
            {
                "spec": {
                    "volumes": [
                        {
                            "volume": {
                                "name": "a",
                                "secret": {"secretName": "a", "items": [{"key": "a", "path": "../a"}]},
                            },
                            "volumeMount": {"name": "a", "mountPath": "/a"},
                        }
                    ]
                }
            },
            "spec.volumes.0.volume.secret.items.0.path: should be a path below",
        ),
        (
            {"spec": {"volumes": [{"volume": {"name": "a"}, "volumeMount": {"name": "a", "mountPath": "/a"}}]}},
            "spec.volumes.0.volume: needs a source, such as persistentVolumeClaim: {",
        ),
    ],
)
def test_mistake(document: dict[str, Any], problem: str) -> None:
    assert problems_of(document)[0].startswith(problem)


@pytest.mark.parametrize("document", [rabbit(url="amqp://ann:se/cret@b:5672"), mqtt(url="mqtt://ann:se#cret@b:1883")])
def test_password_in_a_wrong_address_is_not_repeated(document: dict[str, Any]) -> None:
    (problem,) = problems_of(document)
    assert "se" not in problem.partition("should be")[2].replace("password", "")
    assert "in a name or password / is written %2F" in problem


def test_all_mistakes_are_told() -> None:
    found = problems_of({"metadata": {"name": "!"}, "spec": {"env": 5, "handlr": "x"}, "speck": {}})
    assert [one.partition(":")[0] for one in found] == ["metadata.name", "spec.env", "spec.handlr", "speck"]


def test_all_mistakes_of_limits_are_told() -> None:
    assert problems_of(limits(cpu="1core", memory="64MB")) == [
        "spec.resources.limits: cpu should be such as 500m or 2, not '1core'",
        "spec.resources.limits: memory should be such as 64Mi or 1G, not '64MB'",
    ]


def test_limits_that_docker_does_not_set_are_told() -> None:
    given = {"memory": "64Mi", "nvidia.com/gpu": "1", "mem": "64Mi", "CPU": "1", "ephemeral-storage": "1Gi"}
    assert list(find_unheeded_limits(parse(limits(**given)).spec.resources)) == [
        "spec.resources.limits.mem has no effect; did you mean 'memory'?",
        "spec.resources.limits.CPU has no effect; did you mean 'cpu'?",
        "spec.resources.limits.ephemeral-storage has no effect on Docker",
    ]


def test_shared_subscriptions_at_the_stacks_broker_are_told() -> None:
    def find(document: dict[str, Any]) -> list[str]:
        return list(find_unheeded_topics(parse(document).spec.triggers))

    assert find(mqtt("$share/group/plant/#")) == [
        "spec.triggers.t.attributes.subscriptions.0.topic brings no message; write plant/#, as all containers share "
        "one queue anyway"
    ]
    assert not find(mqtt("$share/group/plant/#", url="mqtt://far")) and not find(mqtt("plant/#"))


def test_disagreements_are_told_beside_other_mistakes() -> None:
    found = problems_of(
        {
            "spec": {
                "env": 5,
                "minReplicas": 3,
                "maxReplicas": 2,
                "triggers": {
                    "a": {"kind": "http"},
                    "b": {"kind": "http", "name": "c"},
                    "d": {"kind": "mqtt", "attributes": {"subscriptions": [], "clientKey": "k"}},
                },
                **volumes(("a", "/x", "/y"), ("b", "/z", "/y"))["spec"],
                **build(codeEntryType="git")["spec"],
            }
        }
    )
    assert sorted(one.partition(":")[0] for one in found) == [
        "spec.build.path",
        "spec.env",
        "spec.minReplicas",
        "spec.triggers.b",
        "spec.triggers.b.name",
        "spec.triggers.d.attributes.subscriptions",
        "spec.volumes.1.volumeMount.mountPath",
    ]


def test_two_mistakes_of_a_list_hide_no_disagreement_beside_it() -> None:
    found = problems_of({"spec": {"env": [{}, {}], "minReplicas": 3, "maxReplicas": 2}})
    assert [one.partition(":")[0] for one in found] == ["spec.env.0.name", "spec.env.1.name", "spec.minReplicas"]


def test_nul_is_refused_wherever_it_is() -> None:
    found = problems_of(r"""
        metadata: {labels: {"a\0": b, c: "d\0"}}
        spec:
          env: [{name: A, value: "\0"}, {name: "B\0"}]
          sidecars: [{x: ["\0"]}]
          replicas: 1000
        """)
    text = r"should have no NUL character; take \0 out of"
    assert [one for one in found if "spec.replicas" not in one] == [
        rf"metadata.labels.a\0: {text} its key",
        f"metadata.labels.c: {text} it",
        f"spec.env.0.value: {text} it",
        f"spec.env.1.name: {text} it",
        f"spec.sidecars.0.x.0: {text} it",
    ]
    assert found[-1].startswith("spec.replicas: ")


@pytest.mark.parametrize("name", ["a.b", "A__b", "a---b", "a_b.c-1"])
def test_names_that_docker_takes_are_accepted(name: str) -> None:
    assert parse({"metadata": {"name": name}}).metadata.name == name


def test_scalars_are_texts_where_texts_are_asked_for() -> None:
    config = parse("""
        metadata: {labels: {a: 1, b: true}, annotations: {c: 1.5}}
        spec: {description: 2024-01-31, env: [{name: A, value: 1.0}, {name: B, value: no}, {name: C, value: }],
               build: {args: {X: 3}, commands: [1]}}
        """)
    assert config.metadata.labels == {"a": "1", "b": "true"}
    assert config.metadata.annotations == {"c": "1.5"}
    assert [one.value for one in config.spec.env] == ["1", "false", ""]
    assert (config.spec.build.args, config.spec.build.commands) == ({"X": "3"}, ["1"])
    assert config.spec.description == "2024-01-31"


@pytest.mark.parametrize(
    ("spec", "bounds"),
    [
        ({}, Bounds(1, 1)),
        ({"minReplicas": 2}, Bounds(2, 2)),
        ({"maxReplicas": 3}, Bounds(3, 3)),
        ({"minReplicas": 0, "maxReplicas": 3}, Bounds(0, 3)),
        ({"minReplicas": 100, "maxReplicas": 100}, Bounds(100, 100)),
        ({"replicas": 4, "minReplicas": 0, "maxReplicas": 9}, Bounds(4, 4)),
    ],
)
def test_bounds_of_replicas_mirror_each_other(spec: dict[str, Any], bounds: Bounds) -> None:
    assert parse({"spec": spec}).spec.bounds == bounds


@pytest.mark.parametrize(
    "attributes",
    [
        {"schedule": "*/5 * * * *"},
        {"schedule": " 30 2 ? * MON-FRI "},
        {"schedule": "*/10 * * * * *"},
        {"schedule": "@hourly", "timezone": "Europe/Rome"},
        {"schedule": "@every 1h30m"},
        {"schedule": "CRON_TZ=Asia/Tokyo 0 6 * * *"},
        {"schedule": "nobody reads it", "interval": "5s"},
    ],
)
def test_schedules_that_the_processor_reads(attributes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":/etc/localtime")
    assert parse(cron(**attributes))


def test_every_mistake_of_a_schedule_is_told_beside_others() -> None:
    (workers, schedule) = problems_of(trigger(kind="cron", attributes={"schedule": "0 25 * * *"}, numWorkers="x"))
    assert schedule.endswith("not '0 25 * * *': bad hour")
    assert workers.startswith("spec.triggers.t.numWorkers")


def test_nothing_is_an_empty_text_in_a_mapping_of_texts() -> None:
    config = parse("{metadata: {annotations: {spec: }, labels: {a: }}, spec: {build: {args: {b: }}}}")
    assert (config.metadata.annotations, config.metadata.labels) == ({"spec": ""}, {"a": ""})
    assert config.spec.build.args == {"b": ""}


def test_what_docker_just_takes_is_accepted() -> None:
    devices = ["/dev/a", "/dev/a:/dev/b", "/dev/a:/dev/b:rwm", "vendor.example/gpu=all"]
    spec = parse({"spec": {"devices": devices, "securityContext": {"runAsUser": 2**31 - 1}}}).spec
    assert spec.devices == devices
    assert parse(limits(memory="6Mi", cpu="10m")) and parse(limits(memory="0", cpu="0"))
    assert parse(platform(healthCheckInterval="1ms")) and parse(platform(healthCheckInterval="0s"))
    assert parse(volumes(("a", "/x", "/y"), ("b", "/z", "/y/z")))


@pytest.mark.parametrize(
    "document",
    [
        *(rabbit(url=url) for url in ("", "amqp://b", "amqps://ann:word@b:5671/v?heartbeat=5", "rabbitmq-mqtt:5672")),
        *(mqtt(url=url) for url in ("", "b", "b:1883", "10.0.0.1", "[::1]:1883", "ann:word@b:1883", "rabbitmq")),
        *(mqtt(url=f"{scheme}://b") for scheme in ("tcp", "mqtt", "MQTT", "ssl", "tls", "mqtts", "ws", "wss")),
        rabbit(exchangeName="amq.topic", queueName="ä" * 127, topics=["a" * 255]),
        rabbit(exchangeName="amq.direct", queueName="amq.gen-1"),
        mqtt("a" * 255),
        mqtt("a" * 256, url="mqtt://far"),
        trigger(kind="http", batch={"mode": "enable", "batchSize": 65_535, "timeout": "2562047h"}),
    ],
)
def test_what_brokers_just_take_is_accepted(document: dict[str, Any]) -> None:
    assert parse(document)


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.9", "3.10", "3.14"])
def test_versions_of_python_are_accepted(version: str) -> None:
    assert parse({"spec": {"runtime": f"python:{version}"}})


def test_line_ends_in_base64_are_passed_over() -> None:
    assert parse(build(functionSourceCode="YQ0K\r\nYg==\n")).spec.build.source == b"a\nb"


def test_older_spellings_are_read() -> None:
    config = parse(build(noBaseImagePull=True))
    assert config.spec.build.no_base_images_pull
    assert config.model_dump(by_alias=True, exclude_unset=True) == build(noBaseImagesPull=True)


def test_code_entry_attributes_are_read_whatever_their_case() -> None:
    config = parse(build(codeEntryType="git", path="https://a", codeEntryAttributes={"WorkDir": "x", "tag": 1.5}))
    assert config.spec.build.code_entry_attributes == CodeEntryAttributes(workDir="x", tag="1.5")


@pytest.mark.parametrize(
    "name",
    ["python", "a/b:1", "localhost:5000/a/b:1.2-x", "r.io/a@sha256:" + "0" * 64, "quay.io/{{ .Arch }}:{{.Label}}"],
)
def test_names_of_images_are_accepted(name: str) -> None:
    assert parse(build(onbuildImage=name)).spec.build.onbuild_image == name


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
                "triggers": {
                    "t": {"kind": "http", "class": "sync", "attributes": {"serviceType": "NodePort"}, "secret": "a.b"}
                },
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            }
        }
    )
    assert sorted(find_ignored(config)) == [
        "spec.avatar has no effect on Docker",
        "spec.env.0.valueFrom.fieldRef is for Kubernetes and sets nothing here; use value, or secretKeyRef and "
        "`invoke secret set`",
        "spec.resources.requests has no effect on Docker; use limits",
        "spec.triggers.t.attributes.serviceType is for Kubernetes",
        "spec.triggers.t.class is ignored, as in Nuclio",
        "spec.triggers.t.secret is for rabbit-mq and mqtt",
    ]


def test_requests_to_the_scaler_without_effect_are_told() -> None:
    def find(**spec: Any) -> list[str]:
        read = parse({"spec": spec}).spec
        return list(find_unheeded(read.scale_to_zero, read.auto_scale_metrics, bounds=read.bounds))

    metrics = [{"metricName": name, "kind": "Pods", "threshold": 5} for name in ("queue-length", "gpu")]
    resources = {"scaleResources": [{"windowSize": "1m"}, {"metricName": "gpu", "windowSize": "1m"}]}
    assert find(autoScaleMetrics=metrics, scaleToZero=resources, minReplicas=0, maxReplicas=2) == [
        "spec.autoScaleMetrics.1 has no effect: the scaler does not see gpu; "
        "it sees queue-length, message-rate and requests",
        "spec.scaleToZero.scaleResources.1 has no effect: only nuclio_processor_handled_events_total is looked at",
    ]
    assert find(autoScaleMetrics=metrics, scaleToZero=resources) == [
        "spec.scaleToZero has no effect without minReplicas 0",
        "spec.autoScaleMetrics has no effect without a maxReplicas above minReplicas",
    ]
    assert find(minReplicas=0, maxReplicas=2) == []


def test_http_attributes_that_the_processor_reads_are_checked() -> None:
    cors = {"enabled": True, "allowOrigins": ["http://a"], "preflightMaxAgeSeconds": -1}
    attributes = {"cors": cors, "readBufferSize": 4096, "hideTraceback": True}
    batch = {"mode": "enable", "batchSize": 5, "timeout": "200ms"}
    config = parse(trigger(kind="http", attributes=attributes, batch=batch, workerAvailabilityTimeoutMilliseconds=0))
    assert list(find_ignored(config)) == []
    http = config.spec.triggers["t"]
    assert isinstance(http, HttpTrigger) and http.attributes.cors.allow_origins == ["http://a"]
    path = "spec.triggers.t.attributes.cors.allowOrigin: is not a known key; did you mean 'allowOrigins'?"
    assert problems_of(trigger(kind="http", attributes={"cors": {"allowOrigin": []}})) == [path]


def test_log_sinks_say_level_and_form() -> None:
    sinks: list[dict[str, Any]] = [{"level": "info", "encoding": "json"}, {"attributes": {"encoding": "json"}}]
    config = parse({"spec": {"loggerSinks": sinks, "eventTimeout": "2s"}})
    assert list(find_ignored(config)) == []
    assert config.spec.logger_sinks[1].attributes.encoding == "json"
    wrong = "spec.loggerSinks.0.encoding: should be one of console, json, not 'xml'"
    assert problems_of({"spec": {"loggerSinks": [{"encoding": "xml"}]}}) == [wrong]


def test_what_is_there_is_not_missed_because_of_what_is_not() -> None:
    entry = {"codeEntryType": "s3", "codeEntryAttributes": {"s3Bucket": "bucket-name"}}
    assert problems_of({"spec": {"build": entry}}) == [
        "spec.build.codeEntryAttributes.s3ItemKey: is required for codeEntryType s3"
    ]
    assert [one.partition(": ")[0] for one in problems_of({"spec": {"minReplicas": 0, "maxReplicas": "x"}})] == [
        "spec.maxReplicas"
    ]


@pytest.mark.parametrize("others", [{}, {"foo": 1}])
def test_what_is_there_and_empty_is_missed(others: dict[str, int]) -> None:
    entry = {"codeEntryType": "s3", "codeEntryAttributes": {"s3Bucket": "", "s3ItemKey": "code.zip"}}
    told = "spec.build.codeEntryAttributes.s3Bucket: is required for codeEntryType s3"
    assert told in problems_of({"spec": {"build": entry, **others}})


def test_labels_of_nodes_are_taken() -> None:
    labels = {"disk": "ssd", "kubernetes.io/arch": "arm64", "a": ""}
    assert parse({"spec": {"nodeSelector": labels}}).spec.node_selector == labels
