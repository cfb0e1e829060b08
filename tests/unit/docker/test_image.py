"""Images that are built while other tasks write what is rendered, or none has yet."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.config.settings import ImageSource, Settings
from stack.config.source import load_function
from stack.docker.build import Build
from stack.docker.engine import Engine
from stack.docker.image import Builder
from stack.plan.function import plan_function
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import Inputs
from stack.plan.render import render
from stack.plan.stack_image import function_image, processor_image
from stack.state.workspace import Workspace, write_tree
from tests.unit.docker.fake_engine import FakeEngine
from tests.unit.plan.samples import GUEST_ACCOUNTS, make_plan


def test_build_is_of_what_is_wished_whatever_is_rendered_meanwhile(tmp_path: Path) -> None:
    """Tasks that end while an image is made write what is deployed of its function."""
    inputs = Inputs(Settings(), BaseImages(ImageSource.REGISTRY, Archive("", ())), GUEST_ACCOUNTS)
    builder = Builder(Workspace(tmp_path), Engine("test", tmp_path / "compose.yaml"), inputs)
    first, second = (make_plan(env=[{"name": "VERSION", "value": value}]) for value in ("one", "two"))
    with (
        builder.prepared(first, function_image(first, inputs)) as one,
        builder.prepared(second, function_image(second, inputs)) as two,
    ):
        write_tree(builder.workspace, render(inputs))
        for build, value in ((one, "one"), (two, "two")):
            assert value in (build.contexts["config"] / "processor.yaml").read_text()
            assert build.dockerfile.is_file()
    assert not one.dockerfile.exists()


def test_processor_s_image_is_made_when_a_function_needs_it(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although nothing was rendered yet."""
    built: list[Build] = []

    def build(one: Build) -> Iterator[str]:
        assert one.dockerfile.is_file()
        built.append(one)
        yield "built"

    monkeypatch.setattr("stack.docker.image.build_image", build)
    inputs = Inputs(Settings(), BaseImages(ImageSource.REGISTRY, Archive("", ())), GUEST_ACCOUNTS)
    builder = Builder(Workspace(tmp_path), Engine("test", tmp_path / "compose.yaml"), inputs)
    builder.prepare_processors([make_plan(runtime="python:3.11")])
    assert [one.tags for one in built] == [(processor_image(inputs, "python:3.11-slim"),)]
    fake.answer(f"/images/{built[0].tags[0]}/json", {})
    builder.prepare_processors([make_plan(runtime="python:3.11")])
    assert len(built) == 1


def _change(folder: Path) -> None:
    (folder / "main.py").write_text("changed")


def _rename(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


def _spoil(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).touch()


@pytest.mark.parametrize("change", [_change, _rename, _spoil])
def test_files_that_are_changed_while_they_are_built_are_seen(change: Callable[[Path], None], tmp_path: Path) -> None:
    """Not those of others that come, such as what an editor writes beside them."""
    folder = tmp_path / "functions" / "f"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text("spec: {handler: main:handler}")
    (folder / "main.py").write_text("def handler(context, event): pass")
    inputs = Inputs(Settings(), BaseImages(ImageSource.REGISTRY, Archive("", ())), GUEST_ACCOUNTS)
    builder = Builder(Workspace(tmp_path), Engine("test", tmp_path / "compose.yaml"), inputs)
    plan = plan_function(load_function(folder), Settings())
    (folder / ".main.py.swp").touch()
    assert builder._has_files(plan)
    change(folder)
    assert not builder._has_files(plan)
