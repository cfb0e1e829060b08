"""Functions from Nuclio and for it."""

import base64
import random
import string
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.reading import parse_mapping
from stack.config.settings import Settings
from stack.config.source import Function, SourceFile
from stack.errors import ConfigError, FunctionError
from stack.plan.function import plan_function
from stack.plan.function_export import Exported, exported_paths, plan_export
from stack.plan.function_import import Imported, plan_imports, split_export
from stack.plan.parcel import File, pack_files, unpack_files

SOURCE = (
    "import pika\n\n\ndef handler(context, event):\n    return pika.connect('amqp://guest:guest@172.16.15.52:5672')\n"
)


def encode(source: str) -> str:
    return base64.b64encode(source.encode()).decode()


# The tutorial's function as a dashboard exports it, its handler in Python.
EXPORT = f"""
apiVersion: "nuclio.io/v1"
kind: Function
metadata:
  name: amqpconsume
  namespace: nuclio
  labels: {{nuclio.io/project-name: default}}
  annotations: {{skip-build: "true", skip-deploy: "true", nuclio.io/previous-state: ready, mine: "1"}}
  resourceVersion: "12"
spec:
  handler: "main:handler"
  description: "Function the is called when a new message is arrived, //the function send back a feedback."
  runtime: python:3.9
  image: "nuclio/processor-amqpconsume:latest"
  resources: {{requests: {{cpu: 25m, memory: 1Mi}}}}
  minReplicas: 1
  maxReplicas: 1
  targetCPU: 75
  env: [{{name: URL, value: "amqp://ann:word@172.16.15.52:5672"}}]
  triggers:
    amqp:
      class: ""
      kind: rabbit-mq
      name: amqp
      url: "amqp://guest:guest@172.16.15.52:5672"
      username: ann
      attributes: {{exchangeName: iot/sensors, queueName: iot/sensors, topics: [temperature], fromTheFuture: 1}}
  build:
    functionSourceCode: {encode(SOURCE)}
    commands: [pip install pika]
    codeEntryType: sourceCode
    timestamp: 1700000000
  platform: {{}}
  eventTimeout: ""
status: {{state: ready, httpPort: 49153}}
"""


HEAD = {"apiVersion": "nuclio.io/v1", "kind": "NuclioFunction", "metadata": {"name": "a"}}


def take(text: str, **options: Any) -> Imported:
    document = parse_mapping(text, "file.yaml")
    (imported,) = plan_imports(split_export(document, "file.yaml"), "file.yaml", **options)
    return imported


def problems(text: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        take(text, **options)
    return caught.value.problems


def load(imported: Imported) -> Function:
    files = tuple(SourceFile(path, "-:0") for path in imported.files)
    document = parse_mapping(imported.files["function.yaml"].content.decode(), "function.yaml")
    config = parse_model(FunctionConfig, document, "function.yaml")
    return Function(imported.name, f"functions/{imported.name}", config, files)


def give(imported: Imported) -> Exported:
    function = load(imported)
    files = {path: imported.files[path] for path in exported_paths(function)}
    return plan_export(plan_function(function, Settings()), files)


def test_an_export_becomes_a_readable_folder() -> None:
    imported = take(EXPORT)
    assert imported.name == "amqpconsume"
    assert imported.files["main.py"].content.decode() == SOURCE
    written = yaml.safe_load(imported.files["function.yaml"].content)
    assert list(written) == ["apiVersion", "kind", "metadata", "spec"]
    assert written["metadata"] == {
        "name": "amqpconsume",
        "namespace": "nuclio",
        "labels": {"nuclio.io/project-name": "default"},
        "annotations": {"mine": "1"},
    }
    assert written["spec"]["build"] == {"commands": ["pip install pika"]}
    assert not {"image", "platform", "eventTimeout"} & set(written["spec"])
    assert written["spec"]["triggers"]["amqp"]["url"] == "amqp://guest:guest@172.16.15.52:5672"
    assert imported.notes == (
        "spec.triggers.amqp.attributes.fromTheFuture: left out, since Nuclio's model has no such key",
        "spec.triggers.amqp.url: names the broker amqp://…@172.16.15.52:5672; --broker points it at this stack's own",
        "spec.env.0: URL names the broker amqp://…@172.16.15.52:5672; change it if it is another one here",
        "main.py, line 5: names the broker amqp://…@172.16.15.52:5672; change it if it is another one here",
    )


def test_broker_addresses_are_pointed_at_the_stack() -> None:
    imported = take(EXPORT, to_broker=True)
    spec = load(imported).config.spec
    assert (spec.triggers["amqp"].url, spec.triggers["amqp"].username) == ("amqp://rabbitmq-mqtt:5672", "")
    assert spec.env[0].value_from and spec.env[0].value_from.secret_key_ref
    assert imported.notes[1:3] == (
        "spec.triggers.amqp.url: amqp://…@172.16.15.52:5672 is now amqp://rabbitmq-mqtt:5672, without username",
        "spec.env.0: URL, amqp://…@172.16.15.52:5672, is now the secret broker.url",
    )
    assert not any("word" in note for note in imported.notes)


def test_code_may_be_elsewhere() -> None:
    s3 = {"codeEntryType": "s3", "codeEntryAttributes": {"s3Bucket": "b", "s3ItemKey": "k"}}
    git = {"codeEntryType": "git", "path": "https://a", "codeEntryAttributes": {"branch": "b"}}
    for build in (s3, git):
        imported = take(yaml.safe_dump(HEAD | {"spec": {"build": build}}))
        assert list(imported.files) == ["function.yaml"]
        assert load(imported).config.spec.build.code_entry_type == build["codeEntryType"]


def test_another_runtime_is_refused_by_name() -> None:
    expected = "file.yaml: spec.runtime: 'nodejs' is not supported; Tidegate runs python and python:3.9 to python:3.14"
    assert problems(EXPORT.replace("python:3.9", "nodejs")) == (expected,)


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        ("{}", {}, "holds no function: neither metadata and spec, nor functions by their names"),
        ("project: {metadata: {name: a}, spec: {}}", {}, "holds no function: neither metadata and spec, nor functions"),
        ("spec: {image: a}", {}, "metadata.name: is required; or type --name NAME"),
        ("spec: {image: a}", {"name": "../a"}, "the function's name should be at most 63 letters, digits, "),
        ("metadata: {name: a}", {}, "spec.build.functionSourceCode: is required; if the source is a file, copy its"),
    ],
)
def test_what_cannot_be_imported(text: str, options: dict[str, Any], problem: str) -> None:
    assert problems(text, **options)[0].startswith(f"file.yaml: {problem}")


def test_every_function_of_a_project_is_imported() -> None:
    one: dict[str, Any] = {"metadata": {"name": "one"}, "spec": {"build": {"functionSourceCode": encode(SOURCE)}}}
    two: dict[str, Any] = {"metadata": {"name": "two"}, "spec": {"runtime": "python", "image": "a/b:1"}}
    project: dict[str, Any] = {"project": {"metadata": {"name": "p"}}, "functions": {"one": one, "two": two}}
    for document in (project, project["functions"]):
        imports = plan_imports(split_export(document, "p"), "p")
        assert [(item.name, sorted(item.files)) for item in imports] == [
            ("one", ["function.yaml", "main.py"]),
            ("two", ["function.yaml"]),
        ]
    two["spec"]["runtime"] = "golang"
    one["spec"]["runtime"] = "java"
    with pytest.raises(ConfigError) as caught:
        plan_imports(split_export(project, "p"), "p")
    assert [problem.split("'")[1] for problem in caught.value.problems] == ["java", "golang"]


def test_other_files_travel_within_the_build() -> None:
    one = take(EXPORT)
    others = {"lib/tool.sh": File(b"#!/bin/sh\n", True), "requirements.txt": File(b"pika\n"), "data": File(bytes(9))}
    exported = give(Imported(one.name, {**one.files, **others, "test_main.py": File(b"")}, ()))
    commands = exported.document["spec"]["build"]["commands"]
    assert commands[:2] == ["pip install pika", "@nuclio.postCopy"]
    assert commands[3:] == ["pip install -r /opt/nuclio/requirements.txt"]
    again = take(yaml.safe_dump(exported.document))
    assert again.files == {**one.files, **others}


def test_other_files_travel_within_directives_too() -> None:
    code, label = encode(SOURCE), {"kind": "LABEL", "value": "a=b"}
    build = {"functionSourceCode": code, "directives": {"postCopy": [label]}}
    one = take(yaml.safe_dump(HEAD | {"spec": {"runtime": "python", "handler": "main:handler", "build": build}}))
    exported = give(Imported("a", {**one.files, "data": File(b"1")}, ()))
    directives = exported.document["spec"]["build"]["directives"]
    assert [line["kind"] for line in directives["postCopy"]] == ["RUN", "LABEL"]
    assert take(yaml.safe_dump(exported.document)).files["function.yaml"] == one.files["function.yaml"]


def test_a_module_in_a_folder_is_packed_whole() -> None:
    code = encode(SOURCE)
    spec = {"runtime": "python", "handler": "pkg.sub:go", "build": {"functionSourceCode": code}}
    one = take(yaml.safe_dump(HEAD | {"spec": spec}))
    assert sorted(one.files) == ["function.yaml", "pkg/sub.py"]
    exported = give(one)
    assert exported.document["spec"]["build"]["functionSourceCode"] == code
    assert take(yaml.safe_dump(exported.document)).files == one.files


def test_files_too_large_for_a_command_are_refused() -> None:
    noise = random.Random(0).randbytes(100_000)
    with pytest.raises(FunctionError, match=r"\(model\.bin\) are too large for one YAML: .* Publish the folder"):
        pack_files({"model.bin": File(noise)})


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../out"])
def test_a_parcel_that_leaves_the_folder_is_no_parcel(path: str) -> None:
    assert unpack_files(pack_files({path: File(b"1")})) == {}
    assert unpack_files("echo AAAA | base64 -d | tar -xzC /opt/nuclio") == {}


def test_secrets_stay() -> None:
    text = """
        metadata: {name: a}
        spec:
          runtime: python
          image: a
          env: [{name: URL, valueFrom: {secretKeyRef: {name: broker, key: url}}}]
          triggers: {t: {kind: mqtt, password: word, attributes: {subscriptions: [{topic: a}]}}}
          build: {codeEntryType: git, path: 'https://a', codeEntryAttributes: {branch: x, password: word}}
          handler: main:handler
        """
    function = parse_model(FunctionConfig, parse_mapping(text, "a"), "a")
    plan = plan_function(Function("a", "functions/a", function, (SourceFile("main.py", ""),)), Settings())
    exported = plan_export(plan, {})
    assert "word" not in str(exported.document).replace("password", "")
    assert exported.notes == (
        "spec.triggers.t.password: left out; give it again where this is imported",
        "spec.build.codeEntryAttributes.password: left out; give it again where this is imported",
        "spec.env.0: URL is the secret broker.url, which stays here",
    )


texts = st.text(string.ascii_letters + string.digits + " :#{}[]'\"\\\n\tä%@-", max_size=12)
words = st.from_regex(r"[a-z]([a-z0-9]{0,7}[a-z0-9])?", fullmatch=True)
mappings = st.dictionaries(words, texts, max_size=3)
durations = st.sampled_from(("10s", "1h30m", "500ms"))
trigger_fields: dict[str, st.SearchStrategy[Any]] = {
    "class": texts,
    "disabled": st.booleans(),
    "numWorkers": st.integers(0, 9),
    "maxWorkers": st.integers(0, 9),
    "annotations": mappings,
    "workerAvailabilityTimeoutMilliseconds": st.integers(-1, 9),
    "workerTerminationTimeout": durations,
    "workerAllocatorName": texts,
    "explicitAckMode": st.sampled_from(("enable", "disable", "explicitOnly")),
}
attributes: dict[str, st.SearchStrategy[Any]] = {
    "http": st.fixed_dictionaries(
        {},
        optional={
            "port": st.integers(0, 65535),
            "reduceMemoryUsage": st.booleans(),
            "cors": st.just({"enabled": True}),
        },
    ),
    "rabbit-mq": st.fixed_dictionaries(
        {"exchangeName": words}, optional={"topics": st.lists(texts), "durableQueue": st.booleans(), "queueName": texts}
    ),
    "mqtt": st.just({"subscriptions": [{"topic": "a/#", "qos": 1}], "clientID": "c"}),
    "cron": st.fixed_dictionaries(
        {"interval": durations}, optional={"event": st.just({"headers": {"a": 1, "b": "x"}})}
    ),
}
triggers = st.dictionaries(
    words,
    st.sampled_from(("rabbit-mq", "mqtt", "cron")).flatmap(
        lambda kind: st.fixed_dictionaries(
            {"kind": st.just(kind), "attributes": attributes[kind]}, optional=trigger_fields
        )
    ),
    max_size=3,
)
builds = st.fixed_dictionaries(
    {
        "functionSourceCode": st.text("a =1\n#'ä", min_size=1, max_size=30).map(encode),
        "codeEntryType": st.just("sourceCode"),
    },
    optional={
        "commands": st.lists(texts.filter(str.strip), max_size=3),
        "directives": st.just({"preCopy": [{"kind": "ENV", "value": "A=b"}]}),
        "args": mappings,
        "flags": st.lists(texts, max_size=2),
        "noCache": st.booleans(),
        "noBaseImagesPull": st.booleans(),
        "baseImage": words,
        "buildTimeoutSeconds": st.integers(0, 9),
    },
)
specs = st.fixed_dictionaries(
    {"handler": words.map(lambda word: f"{word}:handler"), "runtime": st.just("python:3.11"), "build": builds},
    optional={
        "description": texts,
        "disable": st.booleans(),
        "env": st.lists(st.fixed_dictionaries({"name": words, "value": texts}), max_size=3),
        "resources": st.fixed_dictionaries({}, optional={"limits": mappings, "requests": mappings}),
        "minReplicas": st.just(0),
        "maxReplicas": st.integers(1, 9),
        "triggers": triggers,
        "volumes": st.just(
            [
                {"volume": {"name": "v", "hostPath": {"path": "/a"}}, "volumeMount": {"name": "v", "mountPath": "/b"}},
                {"volume": {"name": "w", "emptyDir": {}}, "volumeMount": {"name": "w", "mountPath": "/c"}},
            ]
        ),
        "loggerSinks": st.just([{"level": "info", "sink": "s"}]),
        "platform": st.just({"attributes": {"restartPolicy": {"name": "on-failure", "maximumRetryCount": 3}}}),
        "securityContext": st.just({"runAsUser": 0, "fsGroup": 5}),
        "disableDefaultHTTPTrigger": st.booleans(),
        "eventTimeout": durations,
        "nodeSelector": mappings,
        "sidecars": st.just([{"name": "s", "image": "i"}]),
        "tolerations": st.just([{"key": "k"}]),
        "serviceType": texts,
        "targetCPU": st.integers(0, 100),
    },
).filter(lambda spec: "minReplicas" not in spec or "maxReplicas" in spec)
functions = st.fixed_dictionaries(
    {
        "apiVersion": st.just("nuclio.io/v1"),
        "kind": st.just("NuclioFunction"),
        "metadata": st.fixed_dictionaries({"name": words}, optional={"labels": mappings, "annotations": mappings}),
        "spec": specs,
    }
)


def plain(value: Any) -> Any:
    """Leave out what says nothing: Nuclio's own encoder does so too (`omitempty`)."""
    if isinstance(value, dict):
        return {
            key: plain(item)
            for key, item in value.items()
            if key == "emptyDir" or plain(item) not in ("", False, 0, [], {})
        }
    return [plain(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(functions)
def test_import_then_export_gives_back_what_nuclio_defines(document: dict[str, Any]) -> None:
    (imported,) = plan_imports([document], "file.yaml")
    assert plain(give(imported).document) == plain(document)
    assert plan_imports([give(imported).document], "file.yaml")[0].files == imported.files
