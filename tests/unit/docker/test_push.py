"""Images that are in a registry are named by their digest there, and pushed no second time."""

import pytest

from stack.docker.swarm import registry
from stack.docker.swarm.registry import push_images
from stack.errors import EngineError
from tests.unit.docker.fake_engine import FakeEngine


def test_an_image_that_is_there_is_not_pushed(fake: FakeEngine) -> None:
    other = "tidegate/gateway@sha256:ff"
    fake.answer(
        "/images/tidegate/gateway:1/json", {"RepoDigests": [other, "hub.example/team/tidegate/gateway@sha256:aa"]}
    )
    assert push_images(["tidegate/gateway:1"], "hub.example/team") == {
        "tidegate/gateway:1": "hub.example/team/tidegate/gateway@sha256:aa"
    }


def test_an_image_of_another_registry_keeps_its_path(fake: FakeEngine) -> None:
    fake.answer("/images/quay.io:443/a/b:2/json", {"RepoDigests": ["hub.example/quay.io/a/b@sha256:aa"]})
    assert push_images(["quay.io:443/a/b:2"], "hub.example")["quay.io:443/a/b:2"].startswith("hub.example/quay.io/a/b@")


def test_an_image_that_is_not_here_is_told(fake: FakeEngine) -> None:
    with pytest.raises(EngineError, match=r"The image none:1 is not here\. `invoke up` makes it"):
        push_images(["none:1"], "hub.example")


def test_a_registry_that_refuses_is_told_at_once(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answer("/images/a:1/json", {"RepoDigests": []})
    monkeypatch.setattr(registry, "docker_cli", _Cli())
    with pytest.raises(EngineError, match=r"a:1 could not be pushed to hub\.example\..*denied"):
        push_images(["a:1"], "hub.example")


class _Cli:
    """Takes a name, and pushes nothing."""

    @property
    def image(self) -> "_Cli":
        return self

    def tag(self, image: str, name: str) -> None:
        pass

    def push(self, name: str, *, quiet: bool) -> None:
        raise EngineError("denied: requested access to the resource is denied")
