"""Where an export goes."""

import pytest
import yaml

from stack.config.document import parse_model
from stack.config.settings import ImageSource, Settings
from stack.errors import ConfigError
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import Inputs
from stack.plan.kubernetes.conflict import find_conflicts, find_removed
from stack.plan.kubernetes.export import Target, choose_namespace, list_aliases, name_in_registry, plan_export
from tests.unit.plan.kubernetes.samples import make_workload
from tests.unit.plan.samples import GUEST_ACCOUNTS, make_vault


@pytest.mark.parametrize(
    ("image", "registry", "expected"),
    [
        ("nuclio/processor-a:1", "", "nuclio/processor-a:1"),
        ("nuclio/processor-a:1", "registry.example:5000/team/", "registry.example:5000/team/nuclio/processor-a:1"),
        ("other.example/a:1", "registry.example", "registry.example/a:1"),
    ],
)
def test_names_of_images(image: str, registry: str, expected: str) -> None:
    assert name_in_registry(image, registry) == expected


def test_a_namespace_is_called_like_the_project() -> None:
    assert choose_namespace("", Settings(project="plant_2-")) == "plant-2"
    assert choose_namespace("other", Settings()) == "other"
    with pytest.raises(ConfigError, match=r"--namespace: should be at most 63 lower-case letters.*'Plant'"):
        choose_namespace("Plant", Settings())


def test_a_broker_has_as_many_nodes_as_can_agree() -> None:
    inputs = Inputs(Settings(), BaseImages(ImageSource.DEBIAN, Archive("trixie", ())), GUEST_ACCOUNTS)
    files = plan_export(inputs, make_vault(), Target("plant", nodes=3)).files
    cluster, _ = yaml.safe_load_all(files["rabbitmq.yaml"])
    config = cluster["spec"]["rabbitmq"]["additionalConfig"]
    assert cluster["spec"]["replicas"] == 3
    assert "cluster_partition_handling = pause_minority" in config
    # How they find each other is the operator's.
    assert "cluster_formation" not in config
    with pytest.raises(ConfigError, match="--nodes: nodes: should be 1, 3 or 5, not 2"):
        plan_export(inputs, make_vault(), Target("plant", nodes=2))


def test_a_queue_of_no_type_is_on_all_of_several_nodes() -> None:
    inputs = Inputs(Settings(), BaseImages(ImageSource.DEBIAN, Archive("trixie", ())), GUEST_ACCOUNTS)
    kinds = {}
    for nodes in (1, 3):
        topology = plan_export(inputs, make_vault(), Target("plant", nodes=nodes)).files["topology.yaml"]
        kinds[nodes] = [one["spec"] for one in yaml.safe_load_all(topology) if one and one["kind"] == "Vhost"]
    (vhost,) = kinds.pop(3)
    assert (vhost["name"], vhost["defaultQueueType"], vhost["deletionPolicy"]) == ("/", "quorum", "retain")
    assert kinds == {1: []}


def test_gateways_and_stores() -> None:
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    assert Target("a").parent == {**gateway, "name": "tidegate"}
    assert Target("a", gateway="edge/public").parent == {**gateway, "namespace": "edge", "name": "public"}
    assert Target("a", store="vault").store_reference == {"kind": "SecretStore", "name": "vault"}
    assert Target("a", store="ClusterSecretStore/vault").store_reference["kind"] == "ClusterSecretStore"


def test_a_namespace_that_others_have_does_not_come_and_go_with_the_stack() -> None:
    inputs = Inputs(Settings(), BaseImages(ImageSource.DEBIAN, Archive("trixie", ())), GUEST_ACCOUNTS)
    assert "namespace.yaml" not in plan_export(inputs, make_vault(), Target("team")).files
    assert "namespace.yaml" in plan_export(inputs, make_vault(), Target("tidegate", is_own=True)).files


def test_names_that_yaml_takes_for_numbers_are_texts() -> None:
    inputs = Inputs(Settings(), BaseImages(ImageSource.DEBIAN, Archive("trixie", ())), GUEST_ACCOUNTS)
    for content in plan_export(inputs, make_vault(), Target("1e5", is_own=True)).files.values():
        for document in yaml.safe_load_all(content):
            assert document.get("metadata", {}).get("namespace", "1e5") == "1e5"
    assert b"namespace: 1e5" not in b"".join(plan_export(inputs, make_vault(), Target("1e5")).files.values())


def test_devices_reach_the_ports_that_are_open_here_alone() -> None:
    settings = parse_model(Settings, {"tls": {"enabled": True}, "bind": {"mqtts": "0.0.0.0"}}, name="stack.yaml")
    inputs = Inputs(settings, BaseImages(ImageSource.DEBIAN, Archive("trixie", ())), GUEST_ACCOUNTS)
    files = plan_export(inputs, make_vault(), Target("plant")).files
    cluster, _, service = yaml.safe_load_all(files["rabbitmq.yaml"])
    assert cluster["spec"]["service"] == {"type": "ClusterIP"}
    assert [one["port"] for one in service["spec"]["ports"]] == [8883]
    *_, broker = yaml.safe_load_all(files["network.yaml"])
    assert {"ports": [{"protocol": "TCP", "port": 8883}]} in broker["spec"]["ingress"]


def test_functions_whose_names_differ_in_capitals_have_no_alias() -> None:
    workloads = [make_workload("Foo"), make_workload("foo"), make_workload("bar"), make_workload("a_b")]
    assert [list_aliases(one, workloads) for one in workloads] == [[], [], ["nuclio-nuclio-bar"], []]


def test_what_no_one_can_change_is_told() -> None:
    queue = {
        "kind": "Queue",
        "metadata": {"name": "queue-a", "namespace": "plant"},
        "spec": {"name": "a", "type": "classic", "deletionPolicy": "delete"},
    }
    other = {**queue, "spec": {"name": "a", "type": "quorum", "deletionPolicy": "retain"}}
    same = {**queue, "spec": {"name": "a", "type": "classic"}}
    (told,) = find_conflicts(yaml.safe_dump(queue).encode(), yaml.safe_dump(other).encode())
    assert "kubectl delete --namespace plant queue.rabbitmq.com/queue-a" in told
    assert not list(find_conflicts(yaml.safe_dump(queue).encode(), yaml.safe_dump(same).encode()))


def test_leftovers_hold_no_data_and_are_of_this_namespace() -> None:
    def describe(kind: str, namespace: str, version: str = "v1") -> bytes:
        document = {"apiVersion": version, "kind": kind, "metadata": {"name": "a", "namespace": namespace}}
        return yaml.safe_dump(document).encode()

    now = [describe("Service", "plant"), b"kind: Kustomization\n"]
    before = [*now, describe("PersistentVolumeClaim", "plant"), describe("ConfigMap", "plant"), describe("Secret", "b")]
    assert not list(find_removed(before, now))
    (told,) = find_removed([*before, describe("Ingress", "plant", "networking.k8s.io/v1")], now)
    assert told.endswith("`kubectl delete --namespace plant ingress.networking.k8s.io/a`")


def test_a_bridge_is_left_out_and_told() -> None:
    bridge = {"name": "hq", "to": "amqps://hq.example", "secret": "hq.account", "topics": ["plant/#"]}
    settings = parse_model(Settings, {"bridge": [bridge]}, name="stack.yaml")
    inputs = Inputs(settings, BaseImages(ImageSource.DEBIAN, Archive("trixie", ())), GUEST_ACCOUNTS)
    exported = plan_export(inputs, make_vault(), Target("plant"))
    assert any("bridge is not exported" in note for note in exported.notes)
    assert b"shovel" not in exported.files["rabbitmq.yaml"]
    assert b"cluster_name" not in exported.files["rabbitmq.yaml"]
