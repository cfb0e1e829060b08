"""From Docker Swarm back to Compose."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from docker.errors import APIError

from stack.docker.engine import Engine
from stack.docker.swarm.driver import check_swarm_is_over
from stack.errors import HostError


def test_compose_waits_until_swarm_was_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"Spec": {"Name": "p_gateway"}}]
    asked = SimpleNamespace(services=lambda filters: found if "p" in filters["label"] else [])
    monkeypatch.setattr("stack.docker.swarm.driver.docker_api", lambda: asked)
    engine = Engine("p", tmp_path / "compose.yaml")
    check_swarm_is_over(engine)
    (tmp_path / "swarm.yaml").touch()
    with pytest.raises(HostError, match=r"p runs by Docker Swarm\. Write `engine: swarm`, type `invoke down`"):
        check_swarm_is_over(engine)
    found.clear()
    check_swarm_is_over(engine)


def test_machine_that_is_in_no_swarm_any_more_runs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(filters: object) -> None:
        raise APIError(f"This node is not a swarm manager: {filters}")

    monkeypatch.setattr("stack.docker.swarm.driver.docker_api", lambda: SimpleNamespace(services=refuse))
    (tmp_path / "swarm.yaml").touch()
    check_swarm_is_over(Engine("p", tmp_path / "compose.yaml"))
