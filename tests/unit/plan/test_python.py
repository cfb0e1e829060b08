"""The Python that a function runs on."""

import pytest

from stack.config.settings import Images, ImageSource, Settings
from stack.plan.image import Archive, BaseImages, RuntimeVersion
from stack.plan.runtime.registry import explain_version, find_runtime

REGISTRY = BaseImages(ImageSource.REGISTRY, Archive("", ()))
PACKAGES = BaseImages(ImageSource.DEBIAN, Archive("trixie", ("deb http://deb.example trixie main",)))


def choose(runtime: str, settings: Settings, base_images: BaseImages) -> RuntimeVersion:
    return find_runtime(runtime).choose_version(runtime.partition(":")[2], settings, base_images)


@pytest.mark.parametrize(
    ("runtime", "image", "version"),
    [
        ("python", "python:3.13-slim", "3.13"),
        ("python:3.13", "python:3.13-slim", "3.13"),
        ("python:3.11", "python:3.11-slim", "3.11"),
        ("python:3.14", "python:3.14-slim", "3.14"),
        ("python:3.10", "python:3.13-slim", "3.13"),
        ("python:3.8", "python:3.13-slim", "3.13"),
        ("python:3.7", "python:3.13-slim", "3.13"),
    ],
)
def test_registry_has_each_version(runtime: str, image: str, version: str) -> None:
    python = choose(runtime, Settings(), REGISTRY)
    assert (python.image, python.version) == (image, version)


def test_patch_release_gives_way_to_another_version() -> None:
    settings = Settings(images=Images(mirror="mirror.example:5000/", python="library/python:3.13.2-slim"))
    assert choose("python:3.12", settings, REGISTRY).image == "mirror.example:5000/library/python:3.12-slim"


def test_image_without_a_version_is_the_one_that_there_is() -> None:
    settings = Settings(images=Images(python="acme/snake:latest"))
    python = choose("python:3.12", settings, REGISTRY)
    assert (python.image, python.version) == ("acme/snake:latest", "")
    assert "runs on the Python that there is" in explain_version(python)


def test_packages_have_the_release_s_own() -> None:
    python = choose("python:3.12", Settings(), PACKAGES)
    assert python.version == "3.13"
    assert explain_version(python) == (
        "asks for Python 3.12 and runs on Python 3.13, the only one that images.source offers here"
    )


def test_version_that_the_processor_does_not_run_on() -> None:
    python = choose("python:3.9", Settings(), REGISTRY)
    assert explain_version(python) == ("asks for Python 3.9 and runs on Python 3.13: the processor needs 3.11 or newer")


@pytest.mark.parametrize("runtime", ["python", "python:3.13"])
def test_nothing_is_said_where_the_request_is_granted(runtime: str) -> None:
    assert explain_version(choose(runtime, Settings(), PACKAGES)) == ""
