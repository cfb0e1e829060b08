"""From Docker Compose to Swarm, and back."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from docker.errors import APIError

from stack.docker.engine import Engine
from stack.docker.swarm.engine import SwarmEngine, check_other_engine, find_other_engine
from stack.errors import HostError


def test_compose_waits_until_swarm_was_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"Spec": {"Name": "p_gateway"}}]
    asked = SimpleNamespace(services=lambda filters: found if "p" in filters["label"] else [])
    monkeypatch.setattr("stack.docker.swarm.engine.docker_api", lambda: asked)
    engine = Engine("p", tmp_path / "compose.yaml")
    check_other_engine(engine)
    (tmp_path / "swarm.yaml").touch()
    with pytest.raises(HostError, match=r"p runs by Docker Swarm\. Write `engine: swarm`, type `invoke down`"):
        check_other_engine(engine)
    found.clear()
    check_other_engine(engine)


def test_machine_that_is_in_no_swarm_any_more_runs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(filters: object) -> None:
        raise APIError(f"This node is not a swarm manager: {filters}")

    monkeypatch.setattr("stack.docker.swarm.engine.docker_api", lambda: SimpleNamespace(services=refuse))
    (tmp_path / "swarm.yaml").touch()
    check_other_engine(Engine("p", tmp_path / "compose.yaml"))


def test_swarm_waits_until_compose_was_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"Id": "c1"}]
    monkeypatch.setattr("stack.docker.swarm.engine.docker_api", lambda: SimpleNamespace(containers=lambda **_: found))
    engine = SwarmEngine("p", tmp_path / "swarm.yaml")
    assert find_other_engine(engine).startswith("p runs by Docker Compose. Write `engine: compose`, type `invoke down`")
    found.clear()
    assert not find_other_engine(engine)
