"""Which containers are started, and which go."""

from typing import cast

import pytest

from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.stack import Stack
from stack.plan.stack import plan_service
from stack.run.scale import settle
from tests.unit.docker.test_container import make
from tests.unit.plan.samples import make_plan, make_vault

_STATES = {"r": ("running", "Up (healthy)"), "s": ("running", "Up (health: starting)"), "x": ("exited", "Exited (0)")}
_STATES |= {"c": ("created", "Created"), "a": ("restarting", "Restarting (1)")}


class Engine:
    """Has containers, and notes what it is asked for."""

    is_swarm = False

    def __init__(self, states: str) -> None:
        pairs = ((letter, *_STATES[letter]) for letter in states)
        own = {"service": "function-thermo", "image": "i"}
        self.found = [make(id=id_, state=state, status=told, **own) for id_, state, told in pairs]
        self.stopped = ""
        self.scales: dict[str, int] = {}

    def containers(self) -> list[Container]:
        return self.found

    def stop(self, containers: list[Container]) -> None:
        self.stopped += "".join(one.id for one in containers)

    def up(self, _: object, *, scales: dict[str, int]) -> None:
        self.scales = scales


@pytest.mark.parametrize(
    ("states", "replicas", "stopped", "is_started"),
    [
        ("", 1, "", True),
        ("", 0, "", False),
        ("r", 1, "", False),
        ("x", 1, "", True),
        ("c", 1, "", True),
        ("a", 1, "", False),
        ("x", 0, "x", False),
        ("sxr", 1, "xs", False),
        ("sxr", 2, "x", False),
        ("xrx", 2, "x", True),
        ("ar", 1, "a", False),
    ],
)
def test_containers_become_as_many_as_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, states: str, replicas: int, stopped: str, is_started: bool
) -> None:
    failures: dict[str, str] = {}
    monkeypatch.setattr("stack.run.scale.find_failures", lambda *_: failures)
    monkeypatch.setattr("stack.run.scale.open_driver", lambda engine: engine)
    service = plan_service(make_plan(), Settings(), image="i", vault=make_vault(), is_deployed=True)
    engine = Engine(states)
    stack = cast("Stack", type("Fake", (), {"engine": engine}))
    assert settle(stack, service, replicas) == ""
    assert engine.stopped == stopped
    assert engine.scales == ({"function-thermo": replicas} if is_started else {})
