"""Names of images: the same where nothing changed, others where something did."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stack.config.settings import Images, ImageSource, Settings
from stack.plan.broker_data import name_volume
from stack.plan.function import FunctionPlan
from stack.plan.image import Archive, BaseImages, debian_image, digest, python_base, rabbitmq_base
from stack.plan.inputs import Inputs
from stack.plan.stack_image import control_image, function_image, processor_image, rabbitmq_image
from tests.unit.plan.samples import GUEST_ACCOUNTS, make_plan

ARCHIVE = Archive("trixie", ("deb http://mirror trixie main",))
PACKAGES = BaseImages(ImageSource.DEBIAN, ARCHIVE, processor_digest="1")
REGISTRY = BaseImages(ImageSource.REGISTRY, Archive("", ()), processor_digest="1")


def inputs(base_images: BaseImages = PACKAGES, settings: Settings | None = None) -> Inputs:
    return Inputs(settings or Settings(), base_images, GUEST_ACCOUNTS)


@given(some.lists(some.text(), max_size=4), some.lists(some.text(), max_size=4))
def test_digest_tells_parts_apart(first: list[str], second: list[str]) -> None:
    assert (digest(first) == digest(second)) == (first == second)


def test_bases_of_the_registry() -> None:
    settings = Settings(images=Images(mirror="mirror.example:5000/"))
    assert python_base(settings, REGISTRY) == "mirror.example:5000/python:3.13-slim"
    assert rabbitmq_base(settings, REGISTRY) == "mirror.example:5000/rabbitmq:4.3-management"
    assert rabbitmq_image(inputs(REGISTRY, settings)) == "mirror.example:5000/rabbitmq:4.3-management"


def test_base_of_packages_follows_the_archive() -> None:
    assert python_base(Settings(), PACKAGES) == rabbitmq_base(Settings(), PACKAGES) == debian_image(ARCHIVE)
    assert debian_image(ARCHIVE).startswith("tidegate/debian:")
    assert debian_image(ARCHIVE) != debian_image(replace(ARCHIVE, sources=("deb http://other trixie main",)))


def test_processors_image_follows_its_code_and_its_base() -> None:
    before = processor_image(inputs())
    assert processor_image(inputs()) == before
    assert processor_image(inputs(replace(PACKAGES, processor_digest="2"))) != before
    assert processor_image(inputs(REGISTRY)) != before


@pytest.mark.parametrize(
    "changed",
    [
        make_plan(files=("main.py", "more.py")),
        make_plan(description="other"),
        make_plan(env=[{"name": "A", "value": "b"}]),
        make_plan(build={"commands": ["pip install x"]}),
        make_plan("other"),
    ],
)
def test_functions_image_follows_what_it_is_made_of(changed: FunctionPlan) -> None:
    before = function_image(make_plan(), inputs())
    assert function_image(make_plan(), inputs()) == before
    assert function_image(changed, inputs()) != before
    assert function_image(make_plan(), inputs(replace(PACKAGES, processor_digest="2"))) != before


@pytest.mark.parametrize(
    ("codename", "python", "knows_features"),
    [("trixie", "python3", True), ("noble", "python3", False), ("jammy", "python3.11", False)],
)
def test_packages_of_a_release(codename: str, python: str, knows_features: bool) -> None:
    archive = Archive(codename, ())
    assert (archive.python, archive.has_deprecated_features) == (python, knows_features)


def test_data_of_distant_releases_is_kept_apart() -> None:
    assert name_volume(PACKAGES) != name_volume(REGISTRY)


def test_renewed_bases_have_other_names_as_has_all_that_stands_on_them() -> None:
    for base_images in (PACKAGES, REGISTRY):
        before, after = (
            Inputs(Settings(), one, GUEST_ACCOUNTS) for one in (base_images, replace(base_images, renewed="1"))
        )
        assert processor_image(before) != processor_image(after)
        assert control_image(before) != control_image(after)
    assert python_base(Settings(), PACKAGES) != python_base(Settings(), replace(PACKAGES, renewed="1"))
    assert python_base(Settings(), REGISTRY) == python_base(Settings(), replace(REGISTRY, renewed="1"))
