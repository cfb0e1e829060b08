"""What counts as left by a deploy that was cut short."""

from types import SimpleNamespace
from typing import Any

import pytest

from stack.run import recovery as module

_find_stale = module._find_stale_containers


@pytest.mark.parametrize(("is_swarm", "has_candidate", "found"), [(False, False, 1), (True, False, 0), (True, True, 1)])
def test_what_swarm_has_taken_back_stays(
    monkeypatch: pytest.MonkeyPatch, *, is_swarm: bool, has_candidate: bool, found: int
) -> None:
    """Or it would be deployed again, and taken back again."""
    monkeypatch.setattr(module, "is_deployed", lambda *_: True)
    monkeypatch.setattr(module, "find_deployment", lambda *_: None)
    monkeypatch.setattr(module, "load_candidate", lambda *_: object() if has_candidate else None)
    service: Any = SimpleNamespace(image="thermo:2", labels={}, runs_as_is=False)
    stack: Any = SimpleNamespace(
        workspace=None, engine=SimpleNamespace(is_swarm=is_swarm), deployed_service=lambda _: service
    )
    container: Any = SimpleNamespace(service="function-thermo", image="thermo:1", files="")
    assert len(_find_stale(stack, "thermo", [container])) == found
