"""Where images come from: asked once, and remembered for the image that was asked for."""

from pathlib import Path

import pytest

from stack.config.settings import Images, ImageSource, Settings
from stack.errors import EngineError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.image import Archive, Ground
from stack.plan.render import Inputs, function_image, render
from stack.run.docker.engine import Engine
from stack.run.image import Builder, choose_ground
from stack.run.workspace import Workspace, write_tree
from tests.unit.plan.samples import make_plan


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that does not run."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    return Engine("test", tmp_path / "compose.yaml")


def remember(workspace: Workspace, text: str) -> None:
    workspace.state.mkdir(parents=True, exist_ok=True)
    (workspace.state / "image-source").write_text(text)


def test_registry_needs_neither_engine_nor_apt(tmp_path: Path, engine: Engine) -> None:
    ground = choose_ground(Workspace(tmp_path), Settings(images=Images(source=ImageSource.REGISTRY)), engine)
    assert ground.is_registry
    assert ground.archive.sources == ()


def test_answer_is_remembered(tmp_path: Path, engine: Engine) -> None:
    workspace = Workspace(tmp_path)
    remember(workspace, "registry rabbitmq:4.3-management\n")
    assert choose_ground(workspace, Settings(), engine).is_registry


@pytest.mark.parametrize("text", ["registry other/rabbitmq:4\n", "debian\n", ""])
def test_engine_that_is_down_is_no_answer(tmp_path: Path, engine: Engine, text: str) -> None:
    workspace = Workspace(tmp_path)
    remember(workspace, text)
    with pytest.raises(EngineError):
        choose_ground(workspace, Settings(), engine)
    assert (workspace.state / "image-source").read_text() == text


def test_build_is_of_what_is_wished_whatever_is_rendered_meanwhile(tmp_path: Path, engine: Engine) -> None:
    """Tasks that end while an image is made write what is deployed of its function."""
    inputs = Inputs(Settings(), Ground(ImageSource.REGISTRY, Archive("", ())), GUEST_CREDENTIALS)
    builder = Builder(Workspace(tmp_path), engine, inputs)
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
