"""Names of images that say which project needs them, with an engine that only keeps names."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from stack.config.settings import Settings
from stack.docker.engine import Engine
from stack.plan.stack import plan_service
from stack.run.image import (
    ImageNames,
    keep_images,
    latest_mark,
    release_function,
    release_images,
    revision_mark,
    revision_repository,
    take_latest,
)
from tests.unit.plan.samples import make_plan, make_vault

LATEST = "nuclio/processor-stats:latest"


@dataclass
class Machine:
    """The images of one machine, and its engine as each project has it."""

    ids: dict[str, str] = field(default_factory=dict)

    def engine(self, project: str) -> Engine:
        return cast(Engine, Names(project, self.ids))

    def deploy(self, project: str, image: str, latest: str = "") -> None:
        """Do what a deploy does with names."""
        self.ids.setdefault(image, f"id of {image.rpartition(':')[2]}")
        plan = make_plan("stats", build={"image": latest})
        service = plan_service(plan, Settings(), image=image, vault=make_vault(), is_deployed=True)
        keep_images(self.engine(project), [("stats", image)])
        take_latest(self.engine(project), [service])


@dataclass
class Names:
    project: str
    ids: dict[str, str]

    def image_ids(self) -> dict[str, str]:
        return dict(self.ids)

    def tag(self, image: str, name: str) -> None:
        self.ids[name] = self.ids[image]

    def remove_images(self, images: list[str]) -> None:
        for name in images:
            self.ids.pop(name, None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr("stack.run.image.Driver", lambda engine: engine)
    return Machine()


def test_what_another_project_needs_stays(machine: Machine) -> None:
    for project in ("one", "two"):
        machine.deploy(project, "nuclio/processor-stats:aaa")
    release_function(machine.engine("two"), "stats", images=["nuclio/processor-stats:aaa"], latest=[LATEST])
    assert set(machine.ids) == {
        *("nuclio/processor-stats:aaa", LATEST, "tidegate/revisions/one:stats.aaa"),
        "tidegate/revisions/one:stats.latest",
    }
    release_function(machine.engine("one"), "stats", images=["nuclio/processor-stats:aaa"], latest=[LATEST])
    assert machine.ids == {}


def test_latest_is_moved_by_who_gave_it_alone(machine: Machine) -> None:
    machine.deploy("one", "nuclio/processor-stats:aaa")
    machine.deploy("two", "nuclio/processor-stats:bbb")
    assert machine.ids[LATEST] == "id of aaa"
    machine.deploy("one", "nuclio/processor-stats:ccc")
    assert machine.ids[LATEST] == "id of ccc"
    release_images(machine.engine("one"), "stats", images=["nuclio/processor-stats:aaa"], used=())
    assert "nuclio/processor-stats:aaa" not in machine.ids
    release_function(machine.engine("two"), "stats", images=["nuclio/processor-stats:bbb"], latest=[LATEST])
    assert machine.ids[LATEST] == "id of ccc"
    release_function(machine.engine("one"), "stats", images=["nuclio/processor-stats:ccc"], latest=[LATEST])
    machine.deploy("two", "nuclio/processor-stats:bbb")
    assert machine.ids[LATEST] == "id of bbb"


def test_what_is_no_function_s_image_is_not_renamed(machine: Machine) -> None:
    machine.ids["postgres:16"] = "id of postgres"
    machine.deploy("one", "postgres:aaa", latest="postgres:16")
    release_function(machine.engine("one"), "stats", images=["postgres:aaa"], latest=["postgres:16"])
    assert machine.ids == {"postgres:16": "id of postgres"}


def test_latest_of_an_older_release_is_taken_over(machine: Machine) -> None:
    machine.ids |= {LATEST: "id of old", "nuclio/processor-stats:old": "id of old"}
    machine.deploy("one", "nuclio/processor-stats:aaa")
    assert machine.ids[LATEST] == "id of aaa"


def test_images_that_containers_have_stay(machine: Machine) -> None:
    machine.deploy("one", "nuclio/processor-stats:aaa")
    release_images(
        machine.engine("one"), "stats", images=["nuclio/processor-stats:aaa"], used={"nuclio/processor-stats:aaa"}
    )
    assert "nuclio/processor-stats:aaa" in machine.ids
    assert "tidegate/revisions/one:stats.aaa" not in machine.ids


def test_name_that_was_removed_by_hand_comes_back(machine: Machine) -> None:
    machine.deploy("one", "nuclio/processor-stats:aaa")
    del machine.ids["nuclio/processor-stats:aaa"]
    keep_images(machine.engine("one"), [("stats", "nuclio/processor-stats:aaa"), ("gone", "nuclio/processor-gone:a")])
    assert machine.ids["nuclio/processor-stats:aaa"] == "id of aaa"
    assert "nuclio/processor-gone:a" not in machine.ids


def test_names_are_told_apart() -> None:
    names = ImageNames("one", {"tidegate/revisions/one:a.b.aaa": "1", "tidegate/revisions/one:a.aaa": "1"})
    assert names.list_kept("a") == ("tidegate/revisions/one:a.aaa",)
    assert revision_mark("one", "Stats", image="x/y:aaa") == "tidegate/revisions/one:stats.aaa"
    assert latest_mark("one", "stats") == "tidegate/revisions/one:stats.latest"
    assert revision_repository("plant-") != revision_repository("plant")
    assert revision_repository("plant-").startswith("tidegate/revisions/")
