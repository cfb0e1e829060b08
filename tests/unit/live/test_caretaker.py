"""Who looks after what killed deploys have left."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from stack.errors import EngineError
from stack.live.docker import Event
from stack.live.reconciler import Reconciler


class Scene:
    """Functions with containers, of which some are being deployed; notes which were looked after."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.busy: dict[str, int] = {}
        self.seen: list[str] = []

    def clear(self, names: Sequence[str]) -> list[str]:
        self.seen += names
        if "broken" in names:
            raise EngineError("Docker refused")
        for name in names:
            self.busy[name] = self.busy.get(name, 0) - 1
        return [name for name in names if self.busy[name] < 0]

    async def watch(self, *events: Event | None, until: Callable[[], bool]) -> None:
        reconciler = Reconciler(lambda: self.names, self.clear)
        task = asyncio.create_task(reconciler.run())
        while not self.seen and self.names:
            await asyncio.sleep(0.001)
        for event in events:
            reconciler.hear(event)
        async with asyncio.timeout(60):
            while not until():
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()


def make_event(function: str, action: str = "start") -> Event:
    return Event(1.0, "id", f"function-{function}", function, action, "")


def test_all_are_looked_after_at_first_and_when_events_were_missed() -> None:
    scene = Scene("a", "b")
    asyncio.run(scene.watch(None, until=lambda: len(scene.seen) == 4))
    assert sorted(scene.seen) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("action", ["create", "start"])
def test_function_with_a_new_container_is_looked_after(action: str) -> None:
    scene = Scene()
    events = [make_event(""), make_event("b", "die"), make_event("a", action)]
    asyncio.run(scene.watch(*events, until=lambda: bool(scene.seen)))
    assert scene.seen == ["a"]


def test_function_that_is_being_deployed_is_looked_after_later() -> None:
    scene = Scene()
    scene.busy = {"a": 1}
    asyncio.run(scene.watch(make_event("a"), until=lambda: len(scene.seen) == 2))
    assert scene.seen == ["a", "a"]


def test_one_that_is_ready_is_not_looked_after_again_with_one_that_is_not() -> None:
    scene = Scene("a", "b")
    scene.busy = {"b": 2}
    asyncio.run(scene.watch(until=lambda: len(scene.seen) == 4))
    assert scene.seen == ["a", "b", "b", "b"]


def test_trouble_at_one_time_keeps_from_nothing_later() -> None:
    scene = Scene("broken")
    asyncio.run(scene.watch(make_event("c"), until=lambda: "c" in scene.seen))
    assert scene.seen == ["broken", "c"]


def test_what_is_heard_of_during_a_look_is_looked_after_once_more() -> None:
    async def hear() -> None:
        seen: list[str] = []

        def clear(names: Sequence[str]) -> Sequence[str]:
            if not seen:
                loop.call_soon_threadsafe(reconciler.hear, make_event("a"))
                time.sleep(0.05)
            seen.extend(names)
            return names

        loop = asyncio.get_running_loop()
        reconciler = Reconciler(lambda: ["a"], clear)
        task = asyncio.create_task(reconciler.run())
        async with asyncio.timeout(60):
            while len(seen) < 2:
                await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(hear())
