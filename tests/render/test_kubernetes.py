"""What export-kubernetes writes, as files, and as an API server takes it. `pytest --update-golden` writes them again.

The schemas are those of kubernetes/: core.json says where it is from, resources.yaml is of the custom kinds.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stack.config.network import Tls
from stack.config.settings import Settings
from stack.config.source import load_function
from stack.plan.function import plan_function
from stack.plan.inputs import Inputs
from stack.plan.kubernetes.export import Exported, Target, plan_export, render_secrets
from stack.plan.stack import plan_service
from tests.render.test_render import (
    FUNCTIONS,
    MADE,
    PASSWORD,
    SECRET,
    Case,
    make_inputs,
    read_tree,
    write_golden,
)
from tests.unit.plan.samples import KEY, make_vault

GOLDEN = Path(__file__).parent / "golden" / "kubernetes"
SCHEMAS = Path(__file__).parent / "kubernetes"
ROOT = Path(__file__).parents[2]
EXAMPLES = ("amqpconsume", "amqpevent", "mqttconsume", "mqttevent", "temperaturealert")
DIGEST = "sha256:" + "0123456789abcdef" * 4
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
Object = dict[str, Any]

FUNCTIONS |= {
    "stored": {
        "volumes": [
            {
                "volume": {"name": "kept", "persistentVolumeClaim": {"claimName": "readings"}},
                "volumeMount": {"name": "kept", "mountPath": "/data"},
            },
            {
                "volume": {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
                "volumeMount": {"name": "fast", "mountPath": "/fast"},
            },
        ],
        "securityContext": {"readOnlyRootFilesystem": True},
        "nodeSelector": {"disk": "ssd"},
        "priorityClassName": "plant",
        "tolerations": [{"key": "plant", "operator": "Exists"}],
        "resources": {"limits": {"cpu": "20m", "nvidia.com/gpu": "1"}, "requests": {"memory": "64Mi", "cpu": "1"}},
        "env": [
            {"name": "SUM", "value": "$(A) and $B"},
            {"name": "not/a/name", "value": "1"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "plant"}}],
    },
    "busy": {
        "minReplicas": 1,
        "maxReplicas": 8,
        "triggers": {
            "orders": {
                "kind": "rabbit-mq",
                "attributes": {"queueName": "orders", "topics": ["#"], "exchangeName": "in"},
            }
        },
    },
    "Odd_Name.of-a-function-that-is-longer-than-all-the-others": {
        "triggers": {"tick": {"kind": "cron", "attributes": {"interval": "5s"}}}
    },
    "guarded": {"triggers": {"web": {"kind": "http", "attributes": {"authentication": "bearer"}}}},
}
DEPLOYED = ("busy", "consumer", "everything", "page", "ready", "scaled", "stored", "subscriber")
ODD = "Odd_Name.of-a-function-that-is-longer-than-all-the-others"


def make_examples() -> Inputs:
    bare = make_inputs(Case())
    services = []
    for name in EXAMPLES:
        plan = plan_function(load_function(ROOT / "functions" / name), bare.settings)
        image = f"nuclio/processor-{name}:0123456789ab"
        services.append(plan_service(plan, bare.settings, image=image, vault=make_vault(), is_deployed=True))
    return replace(bare, services=tuple(services))


def export_case(name: str) -> Exported:
    vault = make_vault(db_user=b"ann", db_password=SECRET.encode(), api_token=b"t")
    if name == "examples":
        inputs = make_examples()
        pushed = {one.image: f"registry.example/{one.plan.name}@{DIGEST}" for one in inputs.services}
        return plan_export(inputs, vault, Target("tidegate", is_own=True, registry="registry.example", images=pushed))
    if name == "open":
        # To be reached by devices, and with all that can be otherwise.
        settings = Settings(bind=IPv4Address("0.0.0.0"), tls=Tls(names=("plant.local",)))
        case = Case(settings=settings, credentials=MADE, deployed=["guarded", "scaled", "consumer", ODD])
        target = Target("plant", ingress="nginx", store="ClusterSecretStore/vault", nodes=3)
        return plan_export(make_inputs(case), vault, target)
    case = Case(credentials=MADE, deployed=DEPLOYED)
    return plan_export(
        make_inputs(case), vault, Target("plant", registry="registry.example/team", gateway="edge/public")
    )


CASES = ("examples", "everything", "open")


@cache
def list_objects(name: str) -> tuple[Object, ...]:
    files = export_case(name).files
    documents = [one for path, content in files.items() for one in yaml.safe_load_all(content)]
    return tuple(one for one in documents if one and one["kind"] != "Kustomization")


@pytest.mark.parametrize("name", CASES)
def test_base_is_the_golden_one(name: str) -> None:
    files = dict(export_case(name).files)
    if os.environ.get("UPDATE_GOLDEN"):
        write_golden(GOLDEN / name, files)
    golden = read_tree(GOLDEN / name)
    assert sorted(files) == sorted(golden)
    for path, content in files.items():
        assert content.decode() == golden[path].decode(), path


def test_every_golden_base_has_its_case() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(CASES)


@cache
def find_validators(version: str) -> Mapping[tuple[str, str], Draft202012Validator]:
    """Return what checks each kind, as a version of Kubernetes does."""
    versions = json.loads((SCHEMAS / "core.json").read_text())["versions"]
    known: dict[str, Any] = {}
    for one, schemas in versions.items():
        known |= schemas
        if one == version:
            break
    found = {}
    for kind, schema in known.items():
        if "." not in kind:
            word = schema["properties"]["apiVersion"]["enum"][0]
            found[word, kind] = Draft202012Validator({**schema, "$defs": known})
    for group, kinds in yaml.safe_load((SCHEMAS / "resources.yaml").read_text()).items():
        for kind, spec in kinds.items() if group != "$defs" else ():
            properties = {
                "apiVersion": {},
                "kind": {},
                "metadata": known[_METADATA],
                "spec": {"type": "object", **spec},
            }
            schema = {"required": ["spec"], "additionalProperties": False, "properties": properties, "$defs": known}
            found[group, kind] = Draft202012Validator(schema)
    return found


_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35")


def find_mistakes(document: Object, version: str) -> list[str]:
    validator = find_validators(version)[document["apiVersion"], document["kind"]]
    return [f"{document['kind']}: {one.json_path}: {one.message}" for one in validator.iter_errors(document)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_every_object_is_as_the_api_has_it(name: str, version: str) -> None:
    for document in list_objects(name):
        assert find_mistakes(document, version) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0, "livenessProbe", "period"), 5),
        ("Deployment", ("spec", "replicas"), "1"),
        ("Service", ("spec", "ports", 0, "port"), None),
        ("Queue", ("spec", "exclusive"), True),
        ("Policy", ("spec", "applyTo"), "everything"),
    ],
)
def test_mistakes_would_be_seen(kind: str, path: tuple[Any, ...], value: object) -> None:
    document = next(one for one in list_objects("examples") if one["kind"] == kind)
    document = json.loads(json.dumps(document))
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert find_mistakes(document, "1.31")


@pytest.mark.parametrize("name", CASES)
def test_names_are_unique_and_labels_of_dns(name: str) -> None:
    seen = set()
    for document in list_objects(name):
        known = document["metadata"]
        identity = (document["apiVersion"], document["kind"], known.get("namespace"), known["name"])
        assert identity not in seen
        seen.add(identity)
        assert all(LABEL.fullmatch(part) for part in known["name"].split(".")), identity
        assert "namespace" in known or document["kind"] == "Namespace"


def find_pods(name: str) -> Iterator[tuple[Object, Object]]:
    for one in list_objects(name):
        if one["kind"] == "Deployment":
            yield one, one["spec"]["template"]


def find_sources(name: str) -> set[tuple[str, str]]:
    """Return the kinds and names of what volumes and accounts may name: a Secret once for each key."""
    named = {(one["kind"], one["metadata"]["name"]) for one in list_objects(name)}
    return named | {("Secret", f"{one.name}/{key}") for one in export_case(name).secrets for key in one.contents}


@pytest.mark.parametrize("name", CASES)
def test_selectors_find_the_pods_of_one_function(name: str) -> None:
    labels = [template["metadata"]["labels"].items() for _, template in find_pods(name)]
    for document in list_objects(name):
        is_brokers = document["metadata"]["name"].startswith("rabbitmq-mqtt")
        if document["kind"] in ("Deployment", "Service", "PodDisruptionBudget") and not is_brokers:
            selector = document["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            assert len([one for one in labels if wanted <= one]) == 1


@pytest.mark.parametrize("name", CASES)
def test_pods_meet_the_restricted_standard(name: str) -> None:
    """Kubernetes' Pod Security Standard; a function with a hostPath asks for more."""
    for _, template in find_pods(name):
        pod, (container,) = template["spec"], template["spec"]["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        kinds = {kind for volume in pod.get("volumes", ()) for kind in volume} - {"name"}
        own = {"hostPath"} if "everything" in template["metadata"]["labels"].values() else set()
        assert kinds <= {"secret", "configMap", "emptyDir", "persistentVolumeClaim", *own}


@pytest.mark.parametrize("name", CASES)
def test_ports_are_there_that_probes_name(name: str) -> None:
    for _, template in find_pods(name):
        (container,) = template["spec"]["containers"]
        ports = {one["name"] for one in container["ports"]}
        probes = [container[one]["httpGet"]["port"] for one in ("startupProbe", "readinessProbe", "livenessProbe")]
        assert set(probes) <= ports
        assert all(len(one) <= 15 for one in ports)


@pytest.mark.parametrize("name", CASES)
def test_volumes_are_of_what_there_is(name: str) -> None:
    sources = find_sources(name)
    for _, template in find_pods(name):
        (container,) = template["spec"]["containers"]
        volumes = {one["name"]: one for one in template["spec"].get("volumes", ())}
        assert all(LABEL.fullmatch(one) for one in volumes)
        mounts = container.get("volumeMounts", ())
        assert len({one["mountPath"] for one in mounts}) == len(mounts)
        for mount in mounts:
            assert find_source(volumes[mount["name"]], mount) in {*sources, None}


def find_source(volume: Object, mount: Object) -> tuple[str, str] | None:
    if secret := volume.get("secret"):
        return "Secret", f"{secret['secretName']}/{mount['subPath']}"
    if config := volume.get("configMap"):
        return "ConfigMap", config["name"]
    claim = volume.get("persistentVolumeClaim")
    return ("PersistentVolumeClaim", claim["claimName"]) if claim else None


@pytest.mark.parametrize("name", CASES)
def test_accounts_have_their_secrets(name: str) -> None:
    sources = find_sources(name)
    for document in list_objects(name):
        if document["kind"] == "User":
            secret = document["spec"]["importCredentialsSecret"]["name"]
            assert {("Secret", f"{secret}/username"), ("Secret", f"{secret}/password")} <= sources
        if document["kind"] in ("Permission", "TopicPermission"):
            assert ("User", document["spec"]["userReference"]["name"]) in sources


@pytest.mark.parametrize("name", CASES)
def test_the_topology_operator_takes_accounts_of_labelled_secrets(name: str) -> None:
    """Its webhook refuses a User whose Secret is not labelled as its own."""
    label = {"rabbitmq.com/topology-operator": "true"}
    users = [one["spec"]["importCredentialsSecret"]["name"] for one in list_objects(name) if one["kind"] == "User"]
    rendered = yaml.safe_load_all(render_secrets(export_case(name).secrets, Target("plant")))
    labels = {one["metadata"]["name"]: one["metadata"].get("labels") for one in rendered if one}
    assert users
    assert all(labels[one] == label for one in users)
    for document in list_objects(name):
        if document["kind"] == "ExternalSecret" and document["metadata"]["name"] in users:
            assert document["spec"]["target"]["template"] == {"metadata": {"labels": label}}


@pytest.mark.parametrize("name", CASES)
def test_no_file_has_a_secret(name: str) -> None:
    exported = export_case(name)
    values = [one for secret in exported.secrets for one in secret.data.values()]
    text = b"".join(exported.files.values()).decode()
    assert values
    for word in (SECRET, PASSWORD, KEY.get_secret_value().hex(), *(one for one in values if len(one) > 24)):
        assert word not in text


def test_secrets_are_written_for_a_pipe() -> None:
    exported = export_case("everything")
    rendered = render_secrets(exported.secrets, Target("plant", is_own=True))
    documents = [one for one in yaml.safe_load_all(rendered) if one]
    assert {one["metadata"]["name"] for one in documents} == {"plant", *(one.name for one in exported.secrets)}
    for document in documents:
        assert find_mistakes(document, "1.31") == []


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed: apt-get install kubernetes-client")
@pytest.mark.parametrize("name", CASES)
def test_kubectl_builds_it(name: str, tmp_path: Path) -> None:
    for path, content in export_case(name).files.items():
        (tmp_path / path).write_bytes(content)
    result = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    built = [one for one in yaml.safe_load_all(result.stdout) if one]
    assert len(built) == len(list_objects(name))
    assert {one["metadata"]["labels"]["app.kubernetes.io/managed-by"] for one in built} == {"tidegate"}
