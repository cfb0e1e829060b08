"""What the overview is told of the stack besides its containers."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from stack.live import services
from stack.live.services import ServicesSource
from stack.plan.bridge_state import BridgeState
from stack.plan.trouble import StoreState
from stack.rabbitmq.drift import BrokerSurvey


class NoContainers:
    """An engine on which nothing runs."""

    async def instances(self) -> list[Any]:
        return []

    async def usages(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(("state", "told"), [(StoreState(1, 1, 5, 10, is_full=True), True), (None, False)])
def test_store_without_room_is_among_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, state: StoreState | None, told: bool
) -> None:
    monkeypatch.setattr(services, "fetch_state", lambda _stack: state)
    source = ServicesSource(NoContainers(), None)  # type: ignore[arg-type]
    problems = asyncio.run(source.look())["problems"]
    found = [one for one in problems if one["subject"] == "victoria-metrics"]
    assert bool(found) is told
    assert all(one["what"].startswith("takes no readings") and one["level"] == "error" for one in found)


def test_oldest_message_of_a_bridge_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def survey(_stack: Any, *, with_oldest: bool) -> BrokerSurvey:
        looks.append(with_oldest)
        return BrokerSurvey(bridges=(BridgeState("hq", 5, oldest=60.0 if with_oldest else None),))

    broker = SimpleNamespace(container=SimpleNamespace(service="rabbitmq-mqtt", is_ready=True))
    monkeypatch.setattr(services, "survey_stack_broker", survey)
    source = ServicesSource(NoContainers(), SimpleNamespace(reopen=lambda: None))  # type: ignore[arg-type]
    found = [asyncio.run(source._survey_broker([broker]))[0].bridges[0].oldest for _ in range(2)]  # type: ignore[list-item]
    assert looks == [True, False]
    assert found == [pytest.approx(60, abs=5), pytest.approx(60, abs=5)]
