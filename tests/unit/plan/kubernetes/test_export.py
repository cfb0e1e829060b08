"""Where an export goes."""

import pytest

from stack.config.settings import Settings
from stack.errors import ConfigError
from stack.plan.kubernetes.export import Target, choose_namespace, name_in_registry


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


def test_gateways_and_stores() -> None:
    assert Target("a").parent == {"name": "tidegate"}
    assert Target("a", gateway="edge/public").parent == {"namespace": "edge", "name": "public"}
    assert Target("a", store="vault").store_reference == {"kind": "SecretStore", "name": "vault"}
    assert Target("a", store="ClusterSecretStore/vault").store_reference["kind"] == "ClusterSecretStore"
