"""What tests of Docker share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docker.fake_engine import FakeEngine


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """Run an engine of the test's own, where Docker's clients look for it."""
    socket = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    with FakeEngine(socket) as engine:
        yield engine
        engine.shutdown()
