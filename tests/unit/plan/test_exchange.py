"""Functions from Nuclio and for it."""

import base64
import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack.config.build import Build
from stack.config.document import parse_model
from stack.config.function import FunctionConfig, Metadata, Spec
from stack.config.requirements import Requirements
from stack.config.settings import Settings
from stack.config.source import Function, SourceFile
from stack.config.yaml_loader import parse_mapping
from stack.errors import ConfigError, FunctionError
from stack.plan.function import complete_function
from stack.plan.function_export import Exported, exported_paths, plan_export
from stack.plan.function_import import File, Imported, pack_files, plan_imports, split_export, unpack_files
from tests.unit.config.generation import documents
from tests.unit.plan.samples import make_plan

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


def test_export_names_the_suffix_of_a_module() -> None:
    document = {"metadata": {"name": "a"}, "spec": {"runtime": "nodejs", "handler": "main:read"}}
    files = {"function.yaml": File(json.dumps(document).encode()), "main.mjs": File(b"export const read = 1;")}
    exported = give(Imported("a", files, ()))
    assert exported.document["spec"]["handler"] == "main.mjs:read"
    assert take(yaml.safe_dump(exported.document)).files["main.mjs"].content == files["main.mjs"].content


def test_packages_of_nodejs_are_installed_where_nuclio_runs_it() -> None:
    files = {"lib/x.js": File(b"exports.read = () => 1;"), "lib/package.json": File(b"{}"), "package.json": File(b"{}")}
    config = parse_model(FunctionConfig, {"spec": {"runtime": "nodejs", "handler": "lib/x:read"}}, name="function.yaml")
    function = Function("a", "functions/a", config, tuple(SourceFile(path, "-:0") for path in files))
    exported = plan_export(complete_function(function, "lib/x:read", settings=Settings()), files).document
    assert exported["spec"]["build"]["commands"][-1] == "cd /opt/nuclio/lib && npm install"
    (imported,) = plan_imports([exported], "file.yaml")
    assert set(imported.files) == {"function.yaml", *files}
    assert "build" not in yaml.safe_load(imported.files["function.yaml"].content)["spec"]


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
    config = parse_model(FunctionConfig, document, name="function.yaml")
    return Function(imported.name, f"functions/{imported.name}", config, files)


def give(imported: Imported) -> Exported:
    function = load(imported)
    plan = complete_function(function, function.config.spec.handler or "main:handler", settings=Settings())
    return plan_export(plan, {path: imported.files[path] for path in exported_paths(plan)})


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
        "spec.env.0: URL names the broker amqp://…@172.16.15.52:5672; --broker points it at this stack's own",
        "main.py, line 5: names the broker amqp://…@172.16.15.52:5672; --broker points it at this stack's own",
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
    expected = (
        "file.yaml: spec.runtime: 'golang' is not supported; "
        "Tidegate runs python and python:3.7 to python:3.14, nodejs and its versions, such as nodejs:22"
    )
    assert problems(EXPORT.replace("python:3.9", "golang")) == (expected,)


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


@pytest.mark.parametrize(
    "text", ["{}", "functions: {{a: {}}}", "FUNCTIONS: [{}]", "Project: {{}}\nFunctions: {{a: {}}}", "{{a: {}}}"]
)
def test_keys_count_whatever_their_case(text: str) -> None:
    function = f"{{METADATA: {{Name: a}}, Spec: {{Handler: 'b:go', BUILD: {{FunctionSourceCode: {encode(SOURCE)}}}}}}}"
    imported = take(text.format(function))
    assert (imported.name, sorted(imported.files)) == ("a", ["b.py", "function.yaml"])


BLOCK = "# @nuclio.configure\n#\n# function.yaml:\n#   spec:\n#     {}\n\ndef go(context, event):\n    pass\n"


@pytest.mark.parametrize(
    ("block", "packed", "path", "written"),
    [
        ("handler: entry:go", (), "entry.py", ""),
        ("Handler: entry:go", ("data.txt",), "entry.py", ""),
        ("handler: entry:go", ("main.py",), "entry.py", "entry:go"),
        ("handler: pkg.entry:go", (), "pkg/entry.py", "pkg.entry:go"),
        ("handler: test_it:go", (), "test_it.py", "test_it:go"),
        ("description: x", (), "main.py", "main:handler"),
        ("handler: ../entry", (), "main.py", "main:handler"),
        ("handler: {", (), "main.py", "main:handler"),
    ],
)
def test_the_handler_of_a_source_s_block_counts(block: str, packed: tuple[str, ...], path: str, written: str) -> None:
    commands = ["@nuclio.postCopy", pack_files(dict.fromkeys(packed, File(b"")))] if packed else []
    build = {"functionSourceCode": encode(BLOCK.format(block)), "commands": commands}
    imported = take(yaml.safe_dump(HEAD | {"spec": {"build": build}}))
    assert imported.files[path].content.startswith(b"# @nuclio.configure")
    assert load(imported).config.spec.handler == written


def test_other_files_travel_within_the_build() -> None:
    one = take(EXPORT.replace("//guest:guest@", "//"))
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


@pytest.mark.parametrize(
    ("files", "installed"),
    [
        (("pkg/sub/requirements.txt",), ["pip install -r /opt/nuclio/pkg/sub/requirements.txt"]),
        (("pkg/sub/requirements.txt", "requirements.txt"), ["pip install -r /opt/nuclio/pkg/sub/requirements.txt"]),
        (("requirements.txt",), ["pip install -r /opt/nuclio/requirements.txt"]),
        (("lib/requirements.txt",), []),
    ],
)
def test_requirements_beside_a_handler_in_a_package_are_installed(files: tuple[str, ...], installed: list[str]) -> None:
    spec = {"runtime": "python", "handler": "pkg.sub.deep:entry", "build": {"functionSourceCode": encode(SOURCE)}}
    one = take(yaml.safe_dump(HEAD | {"spec": spec}))
    exported = give(Imported("a", {**one.files, **dict.fromkeys(files, File(b"pika"))}, ()))
    assert exported.document["spec"]["build"]["commands"][2:] == installed
    assert load(take(yaml.safe_dump(exported.document))).config.spec.build.commands == []


@pytest.mark.parametrize("name", ["test_bench", "conftest"])
def test_a_handler_that_is_called_as_a_test_is_exported(name: str) -> None:
    files = (f"{name}.py", "function.yaml", "test_base.txt", "test_main.py")
    named = Requirements("requirements.txt", ("test_base.txt",))
    plan = make_plan(files=files, handler=f"{name}:handler", requirements=named)
    assert exported_paths(plan) == [f"{name}.py", "test_base.txt"]


def test_files_too_large_for_a_command_are_refused() -> None:
    noise = random.Random(0).randbytes(100_000)
    with pytest.raises(FunctionError, match=r"\(model\.bin\) are too large for one YAML: .* Publish the folder"):
        pack_files({"model.bin": File(noise)})


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../out", ".", ""])
def test_a_parcel_that_leaves_the_folder_is_no_parcel(path: str) -> None:
    assert unpack_files(pack_files({path: File(b"1")})) == {}
    assert unpack_files("echo AAAA | base64 -d | tar -xzC /opt/nuclio") == {}


def test_what_is_packed_replaces_no_configuration_and_writes_no_hook() -> None:
    packed = pack_files(
        {
            path: File(b"x")
            for path in ("./function.yaml", "lib/a.py", ".git/hooks/x", "a/__pycache__/b", "function.yml")
        }
    )
    build = {"functionSourceCode": encode(SOURCE), "commands": ["@nuclio.postCopy", packed]}
    imported = take(yaml.safe_dump(HEAD | {"spec": {"description": "mine", "build": build}}))
    assert sorted(imported.files) == ["function.yaml", "function.yml", "lib/a.py", "main.py"]
    assert load(imported).config.spec.description == "mine"
    assert [note for note in imported.notes if "unpacks" in note] == [
        "function.yaml: left out of what the build unpacks, since the document that is imported becomes that file",
        ".git/hooks/x: left out of what the build unpacks, since .git goes into no image",
        "a/__pycache__/b: left out of what the build unpacks, since __pycache__ goes into no image",
    ]


def export(spec: str) -> Exported:
    document = f"metadata: {{name: a}}\nspec: {{runtime: python, handler: 'main:handler', {spec}}}"
    function = parse_model(FunctionConfig, parse_mapping(document, "a"), name="a")
    plan = complete_function(Function("a", "functions/a", function, ()), "main:handler", settings=Settings())
    return plan_export(plan, {})


def test_secrets_stay() -> None:
    exported = export("""
          env: [{name: URL, valueFrom: {secretKeyRef: {name: broker, key: url}}}],
          triggers: {t: {kind: mqtt, url: 'mqtt://ann:word@b:1883', password: word,
                         attributes: {subscriptions: [{topic: a}]}}},
          build: {codeEntryType: git, path: 'https://ann:word@a/b@c', codeEntryAttributes: {
            branch: x, password: word,
            headers: {authorization: word, X-V3io-Session-Key: word, PRIVATE-TOKEN: word, Accept: '*/*'}}},
        """)
    assert "word" not in str(exported.document).replace("password", "")
    build = exported.document["spec"]["build"]
    assert exported.document["spec"]["triggers"]["t"]["url"] == "mqtt://b:1883"
    assert build["path"] == "https://a/b@c"
    assert build["codeEntryAttributes"] == {"branch": "x", "headers": {"Accept": "*/*"}}
    assert [note.partition(":")[0] for note in exported.notes] == [
        "spec.triggers.t.password",
        "spec.triggers.t.url",
        "spec.build.path",
        "spec.build.codeEntryAttributes.password",
        "spec.build.codeEntryAttributes.headers.authorization",
        "spec.build.codeEntryAttributes.headers.X-V3io-Session-Key",
        "spec.build.codeEntryAttributes.headers.PRIVATE-TOKEN",
        "spec.env.0.valueFrom.secretKeyRef",
        "spec.triggers.t",
    ]
    assert exported.notes[0] == "spec.triggers.t.password: left out; give it again where this is imported"
    assert exported.notes[1] == "spec.triggers.t.url: its account is left out; give it again where this is imported"
    assert exported.notes[-2].endswith("the secret broker.url stays here; make it where this is imported")


def test_what_the_original_loses_is_told_for_each_trigger_and_output() -> None:
    exported = export("""maxReplicas: 2, outputs: {logs: {kind: rabbit-mq, queue: a}}, triggers: {
          page: {kind: http},
          tick: {kind: cron, attributes: {interval: 5s}},
          kept: {kind: rabbit-mq, attributes: {queueName: b}},
          given: {kind: rabbit-mq, attributes: {queueName: c, onError: ack}}}
        """)
    told = {note.partition(":")[0]: note for note in exported.notes}
    assert set(told) == {"spec.outputs (logs)", "spec.triggers.tick", "spec.triggers.kept"}
    assert "acknowledged and lost; Tidegate tries it again, and keeps it as a dead letter" in told["spec.triggers.kept"]
    assert "each replica" in told["spec.triggers.tick"]


@pytest.mark.parametrize(
    ("path", "exported"),
    [
        ("ssh://git@host/a.git", "ssh://git@host/a.git"),
        ("git@host:a.git", "git@host:a.git"),
        ("ssh://ann:word@host/a.git", "ssh://host/a.git"),
        ("HTTPS://token@host/a.git", "HTTPS://host/a.git"),
        ("https://ann:wo@rd@host/a.git", "https://host/a.git"),
    ],
)
def test_name_that_is_no_secret_stays_in_an_address(path: str, exported: str) -> None:
    document = export(f"build: {{codeEntryType: git, path: '{path}', codeEntryAttributes: {{branch: x}}}}").document
    assert document["spec"]["build"]["path"] == exported


@pytest.mark.parametrize(
    ("kind", "url", "exported"),
    [("mqtt", "ann:word@b:1883", "b:1883"), ("rabbit-mq", "amqp://ann@b", "amqp://ann@b")],
)
def test_account_of_a_broker_is_left_out(kind: str, url: str, exported: str) -> None:
    attributes = {"mqtt": "subscriptions: [{topic: t}]", "rabbit-mq": "exchangeName: e, queueName: q"}
    trigger = f"{{kind: {kind}, url: '{url}', attributes: {{{attributes[kind]}}}}}"
    assert export(f"triggers: {{t: {trigger}}}").document["spec"]["triggers"]["t"]["url"] == exported


sources = st.text("a =1\n#'ä", min_size=1, max_size=30).map(encode)
# Nuclio's own, what its fields must agree on, and what an import or an export leaves out.
SPECIAL: dict[str, st.SearchStrategy[Any] | None] = {
    "flags": st.lists(st.sampled_from(("--network=host", "--label a=b", "--pull")), max_size=2),
    "FunctionConfig.apiVersion": st.just("nuclio.io/v1"),
    "FunctionConfig.kind": st.just("NuclioFunction"),
    "status": None,
    "Metadata.name": st.sampled_from(("a", "some-function")),
    "resourceVersion": None,
    "Spec.handler": st.sampled_from(("main:handler", "a-b:go")),
    "Spec.runtime": st.sampled_from(("python", "python:3.11")),
    "imageHash": None,
    "Spec.image": None,
    "Spec.build": None,
    "FunctionConfig.spec": None,
    "Build.functionSourceCode": sources,
    "Build.codeEntryType": st.just("sourceCode"),
    "Build.path": None,
    "Build.timestamp": None,
    "password": None,
    "secret": None,
    "s3SecretAccessKey": None,
    "s3SessionToken": None,
    "HttpTrigger.name": None,
    "RabbitTrigger.name": None,
    "MqttTrigger.name": None,
    "CronTrigger.name": None,
    "volumes": st.just(
        [
            {"volume": {"name": "v", "hostPath": {"path": "/a"}}, "volumeMount": {"name": "v", "mountPath": "/b"}},
            {"volume": {"name": "w", "emptyDir": {}}, "volumeMount": {"name": "w", "mountPath": "/c", "subPath": "x"}},
        ]
    ),
}
SPECIAL["Spec.build"] = documents(Build, SPECIAL)
SPECIAL["FunctionConfig.spec"] = documents(Spec, SPECIAL)
functions = documents(FunctionConfig, SPECIAL | {"FunctionConfig.metadata": documents(Metadata, SPECIAL)})


def plain(value: Any) -> Any:
    """Leave out what says nothing: Nuclio's own encoder does so too (`omitempty`)."""
    if isinstance(value, dict):
        return {
            key: plain(item)
            for key, item in value.items()
            if key == "emptyDir" or plain(item) not in ("", False, 0, [], {})
        }
    return [plain(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(functions)
def test_import_then_export_gives_back_what_nuclio_defines(document: dict[str, Any]) -> None:
    (imported,) = plan_imports([document], "file.yaml")
    assert plain(give(imported).document) == plain(document)
    assert plan_imports([give(imported).document], "file.yaml")[0].files == imported.files
