"""What the overview is told of the stack besides its containers."""

import asyncio
from typing import Any

import pytest

from stack.live import services
from stack.live.services import ServicesSource
from stack.plan.trouble import StoreState


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
