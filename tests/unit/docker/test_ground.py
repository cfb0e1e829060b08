"""Where images come from: asked once, and remembered for the image that was asked for."""

from pathlib import Path

import pytest

from stack.config.settings import Images, ImageSource, Settings
from stack.docker.base_image import choose_base_images
from stack.docker.engine import Engine
from stack.errors import EngineError
from stack.state.workspace import Workspace


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that does not run."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    return Engine("test", tmp_path / "compose.yaml")


def remember(workspace: Workspace, text: str) -> None:
    workspace.state.mkdir(parents=True, exist_ok=True)
    (workspace.state / "image-source").write_text(text)


def test_registry_needs_neither_engine_nor_apt(tmp_path: Path, engine: Engine) -> None:
    base_images = choose_base_images(
        Workspace(tmp_path), Settings(images=Images(source=ImageSource.REGISTRY)), engine=engine
    )
    assert base_images.is_registry
    assert base_images.archive.sources == ()


def test_answer_is_remembered(tmp_path: Path, engine: Engine) -> None:
    workspace = Workspace(tmp_path)
    remember(workspace, "registry rabbitmq:4.3-management\n")
    assert choose_base_images(workspace, Settings(), engine=engine).is_registry


@pytest.mark.parametrize("text", ["registry other/rabbitmq:4\n", "debian\n", ""])
def test_engine_that_is_down_is_no_answer(tmp_path: Path, engine: Engine, text: str) -> None:
    workspace = Workspace(tmp_path)
    remember(workspace, text)
    with pytest.raises(EngineError):
        choose_base_images(workspace, Settings(), engine=engine)
    assert (workspace.state / "image-source").read_text() == text
