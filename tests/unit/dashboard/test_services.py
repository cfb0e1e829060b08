"""The services of a dashboard: who tells whom what has changed."""

from pathlib import Path

import pytest

from stack.dashboard.services import open_services
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.state.workspace import VARIABLE


def test_containers_are_asked_for_again_when_a_job_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may have seen a function ready of which Docker has told nothing since its start."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: tidegate-unit-services\nimages: {source: debian}\n")
    asked: list[str] = []

    def ask(engine: Engine) -> tuple[Container, ...]:
        asked.append(engine.project)
        return ()

    monkeypatch.setattr(Engine, "containers", ask)
    services = open_services()
    services.catalogue.is_docker_followed = True
    for _ in range(2):
        services.catalogue.forget()
        services.catalogue.records()
    assert len(asked) == 1
    services.jobs.on_change("thermo")
    services.catalogue.records()
    assert len(asked) == 2
