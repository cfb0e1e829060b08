"""Where an export goes."""

import pytest
import yaml

from stack.config.settings import ImageSource, Settings
from stack.errors import ConfigError
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import Inputs
from stack.plan.kubernetes.export import Target, choose_namespace, name_in_registry, plan_export
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


def test_gateways_and_stores() -> None:
    assert Target("a").parent == {"name": "tidegate"}
    assert Target("a", gateway="edge/public").parent == {"namespace": "edge", "name": "public"}
    assert Target("a", store="vault").store_reference == {"kind": "SecretStore", "name": "vault"}
    assert Target("a", store="ClusterSecretStore/vault").store_reference["kind"] == "ClusterSecretStore"
