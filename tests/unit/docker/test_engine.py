"""What is asked of an engine, which here is a server of the test's own, and what is made of its answers."""

from pathlib import Path

import pytest

from stack.docker.driver import Driver
from stack.docker.engine import Engine
from stack.errors import EngineError
from tests.unit.docker.fake_engine import FakeEngine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine("p", tmp_path / "compose.yaml")


def test_containers_of_the_project_are_asked_for(fake: FakeEngine, engine: Engine) -> None:
    fake.answer("/containers/json", [])
    assert engine.listed() == ()
    assert "com.docker.compose.project%3Dp" in fake.asked[-1]


def test_an_image_is_here_or_not(fake: FakeEngine, engine: Engine) -> None:
    fake.answer("/images/own/function:1/json", {"Created": "2026-01-02T03:04:05.123456789Z"})
    fake.answer("/images/old/json", {})
    names = ["own/function:1", "old", "absent"]
    assert engine.images(names) == {"own/function:1", "old"}
    assert {name: time.year for name, time in engine.image_times(names).items()} == {"own/function:1": 2026}


def test_refusal_is_told(fake: FakeEngine, engine: Engine) -> None:
    fake.answer("/containers/json", {"message": "write /a: no space left on device"}, status=500)
    with pytest.raises(EngineError, match="There is no space left on Docker's disk"):
        engine.listed()


def test_engine_that_does_not_answer_says_nothing_of_images(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match=r"none\.sock, where DOCKER_HOST or Docker"):
        engine.images(["none-such"])


def test_without_the_command_docker_is_not_installed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"^Docker is not installed\. Type"):
        engine.listed()


def test_old_engine_is_refused(fake: FakeEngine, engine: Engine) -> None:
    fake.answer("/version", {"Version": "24.0.9", "ApiVersion": "1.43"})
    with pytest.raises(EngineError, match=r"Docker Engine 24\.0\.9 is too old"):
        Driver(engine).check()
