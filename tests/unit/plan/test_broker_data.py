"""The broker's data is found again, whatever the images are made of."""

from dataclasses import replace

import pytest

from stack.config.settings import Images, ImageSource, Settings
from stack.plan.broker_data import (
    BrokerData,
    explain_change,
    explain_fewer,
    explain_others,
    find_wanted_data,
    guess_version,
    name_volume,
)
from stack.plan.image import Archive, BaseImages

PACKAGES = BaseImages(ImageSource.DEBIAN, Archive("trixie", ("deb http://deb trixie main",)))
REGISTRY = replace(PACKAGES, source=ImageSource.REGISTRY)
NEW = BrokerData("rabbitmq-data", "4.2")


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("rabbitmq:4.3-management", "4.3"),
        ("mirror.example:5000/rabbitmq:4.2.1", "4.2.1"),
        ("rabbitmq:latest", ""),
        ("rabbitmq", ""),
    ],
)
def test_version_of_an_images_tag(image: str, version: str) -> None:
    settings = Settings(images=Images(rabbitmq=image))
    assert find_wanted_data(settings, REGISTRY) == BrokerData("rabbitmq-data", version)


def test_packages_have_the_version_of_their_release() -> None:
    assert find_wanted_data(Settings(), PACKAGES) == BrokerData("rabbitmq-data-trixie", "4.0")
    assert name_volume(PACKAGES) == "rabbitmq-data-trixie"
    assert (guess_version("rabbitmq-data-bookworm"), guess_version("rabbitmq-data")) == ("3.10", "")


def test_data_in_another_volume_is_told_with_what_takes_it_along() -> None:
    older = BrokerData("rabbitmq-data-trixie", "4.0.5")
    told = explain_others("plant", NEW, others=[older], has_data=False)
    assert "are in plant_rabbitmq-data-trixie (RabbitMQ 4.0.5)" in told
    assert "`invoke upgrade` takes them along" in told
    assert "`docker volume rm plant_rabbitmq-data-trixie` forgets them" in told
    assert explain_others("plant", NEW, others=[], has_data=True) == ""


def test_older_data_besides_is_told() -> None:
    told = explain_others("plant", NEW, others=[BrokerData("rabbitmq-data-trixie", "")], has_data=True)
    assert "is in plant_rabbitmq-data, and older data is in plant_rabbitmq-data-trixie." in told
    assert told.endswith("docker volume rm plant_rabbitmq-data-trixie")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("4.0.5", "4.0", ""),
        ("", "4.2", ""),
        ("4.0.5", "", ""),
        ("4.0.5", "4.2", "Make a backup (`invoke backup`), then type `invoke upgrade`"),
        ("4.0.5", "4.3", "Go by way of 4.2, then 4.3"),
        ("4.3.1", "4.0", "which is newer"),
    ],
)
def test_other_series_is_not_started_unprepared(old: str, new: str, told: str) -> None:
    found = explain_change(BrokerData("rabbitmq-data", old), BrokerData("rabbitmq-data", new))
    assert told in found
    assert bool(found) == bool(told)


def test_fewer_nodes_than_the_broker_has_are_refused() -> None:
    told = explain_fewer(3, 1)
    assert "The broker has 3 nodes, and broker.nodes in stack.yaml is 1" in told and "Set it to 3 again" in told
    assert [explain_fewer(1, 3), explain_fewer(3, 3)] == ["", ""]
